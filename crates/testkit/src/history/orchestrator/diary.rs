//! The log of a history: seed, time, what.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::history::session::HistoryError;

/// One line for everything that was done.
#[derive(Clone, Debug)]
pub struct Diary {
    file: Arc<Mutex<File>>,
    started: Instant,
}

impl Diary {
    /// A new file at this path.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Diary, HistoryError> {
        let file = File::create(path).map_err(|source| HistoryError::System {
            what: format!("creating {}", path.display()),
            source,
        })?;
        Ok(Diary { file: Arc::new(Mutex::new(file)), started: Instant::now() })
    }

    /// Writes a line, with the time since the start in milliseconds.
    pub fn note(&self, what: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{:>8} {what}\n", self.started.elapsed().as_millis());
        if let Err(error) = file.write_all(line.as_bytes()) {
            eprintln!("the log of the history cannot be written ({error}): {what}");
        }
    }
}
