//! The few things that the log does to a disk, so that tests can make each of them fail.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::Path;

/// A disk with directories and files.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Makes a file that was not there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Makes names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// A file that was made has its head, and is open for reading.
    fn begun(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |directory| self.sync_directory(directory))
    }
}

/// Something was not written, or is not known to be durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// It may succeed later, when what may have been written has been cut off.
    #[error("{0}")]
    Passing(String),
    /// Somebody else writes this log by now.
    #[error("{0}")]
    Fenced(String),
    /// Nobody knows what is on disk.
    #[error(transparent)]
    Lasting(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Passing(error.to_string())
            }
            _ => Self::Lasting(error),
        }
    }
}

/// A file that only grows.
pub(crate) trait LogFile: Send {
    /// Writes all of it, in this order, at the end.
    fn write_all(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Returns when all that was written is durable.
    fn sync(&mut self) -> Result<(), WriteError>;

    /// Takes back what was written behind this many bytes, none of it durable.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

/// The system's.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(File::create_new(path)?))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl LogFile for File {
    fn write_all(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !parts.is_empty() {
            match self.write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        // Never tried again: the system may have dropped what it could not write, and would say the
        // next time that all is well.
        self.sync_data().map_err(WriteError::Lasting)
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)?;
        self.seek(SeekFrom::Start(bytes)).map(drop)
    }
}

/// Deletes a file that nothing needs any more; one that is not there is no error.
pub(crate) fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
