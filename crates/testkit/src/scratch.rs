//! A temporary directory that stays when the test fails.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A file of this name in a directory tells the watchdog (see [`crate::process`]) to leave it.
pub(crate) const KEEP_FILE: &str = "keep";

/// A directory under the system's temporary directory, removed on drop unless the thread panics.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
}

impl Scratch {
    /// Makes the directory; `purpose` becomes part of its name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(purpose: &str) -> io::Result<Scratch> {
        let directory = tempfile::Builder::new().prefix(&format!("farlog-{purpose}-")).tempdir()?;
        Ok(Scratch { directory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Leaves the directory behind, for a person to look at.
    pub fn keep(&mut self) {
        self.directory.disable_cleanup(true);
        // Without the file the watchdog would remove it; a failure here only loses logs.
        if std::fs::write(self.join(KEEP_FILE), "").is_ok() {
            eprintln!("kept for a look: {}", self.path().display());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep();
        }
    }
}
