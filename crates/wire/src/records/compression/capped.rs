//! A growing buffer with a bound.

use std::io;

/// Appends to a buffer up to a bound, and remembers whether more was asked for.
#[derive(Debug)]
pub(super) struct Capped<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes that may still be appended.
    room: usize,
    exceeded: bool,
}

impl<'a> Capped<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, bytes_max: usize) -> Self {
        Self { out, room: bytes_max, exceeded: false }
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded
    }

    /// Lends `bytes` more bytes of the buffer, zeroed, to be written in place.
    pub(super) fn claim(&mut self, bytes: usize) -> io::Result<&mut [u8]> {
        self.take(bytes)?;
        let begin = self.out.len();
        self.out.resize(begin + bytes, 0);
        Ok(&mut self.out[begin..])
    }

    fn take(&mut self, bytes: usize) -> io::Result<()> {
        match self.room.checked_sub(bytes) {
            Some(room) => {
                self.room = room;
                Ok(())
            }
            None => {
                self.exceeded = true;
                Err(io::ErrorKind::FileTooLarge.into())
            }
        }
    }
}

impl io::Write for Capped<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
