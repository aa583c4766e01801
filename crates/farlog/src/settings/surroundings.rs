//! The world outside a settings file: environment variables and other files, asked through a door
//! so that everything behind it is pure.

use std::collections::BTreeMap;
use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes of a settings file or of any file that one names.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a settings file may ask of the world.
pub trait Surroundings {
    /// The value of an environment variable, `None` if it is not set or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;

    /// The bytes of a file; a relative path starts at the settings file's folder.
    ///
    /// # Errors
    /// If it cannot be read or is larger than [`FILE_BYTES_MAX`].
    fn file(&self, path: &str) -> io::Result<Vec<u8>>;

    /// Where a path of the settings file leads: a relative one starts at that file's folder.
    fn path(&self, path: &str) -> PathBuf;
}

/// The process's own environment and the file system.
#[derive(Clone, Debug)]
pub struct Process {
    folder: PathBuf,
}

impl Process {
    /// For a settings file that lies in `folder`.
    pub fn new(folder: &Path) -> Process {
        Process { folder: folder.to_owned() }
    }
}

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        read_bounded(&Surroundings::path(self, path))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// Reads a file of at most [`FILE_BYTES_MAX`] bytes.
///
/// # Errors
/// If it cannot be read or is larger.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Made-up surroundings, for tests and for checking a file without touching anything.
#[derive(Clone, Debug, Default)]
pub struct Imagined {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Files by the path that asks for them.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Surroundings for Imagined {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(path)
    }
}
