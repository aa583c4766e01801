//! What stands before a request's frame: its size, which may come in pieces.

use std::io;

use farlog_wire::frame::SIZE_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt};

/// As much of it as was read.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    bytes: [u8; SIZE_BYTES],
    read: usize,
}

impl Prefix {
    /// Reads what is missing; false if the client has left. Nothing is lost if this is not brought
    /// to its end.
    pub(super) async fn fill(&mut self, input: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        while !self.is_full() {
            match input.read(&mut self.bytes[self.read..]).await? {
                0 => return Ok(false),
                read => self.read += read,
            }
        }
        Ok(true)
    }

    /// Whether nothing is missing.
    pub(super) fn is_full(&self) -> bool {
        self.read == SIZE_BYTES
    }

    /// Takes it; the next one is missing then.
    pub(super) fn take(&mut self) -> [u8; SIZE_BYTES] {
        self.read = 0;
        self.bytes
    }
}
