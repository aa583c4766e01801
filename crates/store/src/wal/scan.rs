//! Reads a file of the log from its front, and judges what it finds where an entry should be.

use std::io::{self, Read};

use super::entry::{self, Decoded, EntryError, FRAME_BYTES, Place};
use crate::limits::SCAN_BYTES;

/// Bytes that the search for a valid entry behind a damaged one may check at most. Only payloads
/// made for that purpose need more; the file then counts as damaged.
const SEARCH_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;

/// Reads entry by entry.
#[derive(Debug)]
pub(crate) struct Scanner<R> {
    source: R,
    salt: u32,
    buffer: Vec<u8>,
    /// Where the next entry begins in the buffer.
    at: usize,
    /// Where the next entry begins in the file.
    position: u64,
    /// Bytes of the file that are not in the buffer yet.
    unread: u64,
    sequence: u64,
    in_group: u32,
}

/// What stands behind the last valid entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    Empty,
    /// Something that was never known to be on disk.
    Torn {
        /// How much.
        bytes: u64,
    },
    /// Something that was once on disk and was not like this.
    Damaged {
        /// Why there is no valid entry.
        why: EntryError,
    },
}

impl<R: Read> Scanner<R> {
    /// Of a file of `bytes` bytes whose first entry has this sequence.
    pub(crate) fn new(source: R, bytes: u64, sequence: u64, salt: u32) -> Self {
        let (buffer, at, position, in_group) = (Vec::new(), 0, 0, 0);
        Self { source, salt, buffer, at, position, unread: bytes, sequence, in_group }
    }

    /// Where the next entry begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The sequence that the next entry must have.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The next entry and its position; the inner error if there is none.
    ///
    /// # Errors
    /// What the system said when it was read.
    pub(crate) fn next(&mut self) -> io::Result<Result<(u64, Decoded<'_>), EntryError>> {
        self.fill(FRAME_BYTES)?;
        let needed = entry::peek_bytes(&self.buffer[self.at..]);
        self.fill(needed)?;
        let decoded = match entry::decode(&self.buffer[self.at..], self.salt) {
            Ok(decoded) => decoded,
            Err(why) => return Ok(Err(why)),
        };
        let Place { sequence, in_group } = decoded.place;
        if sequence != self.sequence || (in_group != 0 && in_group != self.in_group) {
            return Ok(Err(EntryError::Nonsense("an entry out of sequence")));
        }
        let position = self.position;
        self.sequence += 1;
        self.in_group = in_group.saturating_add(1);
        self.at += decoded.bytes;
        self.position += decoded.bytes as u64;
        Ok(Ok((position, decoded)))
    }

    /// What stands where [`next`](Self::next) found no entry.
    ///
    /// # Errors
    /// What the system said when it was read.
    pub(crate) fn tail(&mut self, why: EntryError) -> io::Result<Tail> {
        let left = self.unread + (self.buffer.len() - self.at) as u64;
        if left == 0 {
            return Ok(Tail::Empty);
        }
        self.fill(usize::try_from(left).unwrap_or(usize::MAX))?;
        let tail = &self.buffer[self.at..];
        Ok(if proves_damage(tail, self.salt, self.sequence) {
            Tail::Damaged { why }
        } else {
            Tail::Torn { bytes: left }
        })
    }

    /// Reads until `needed` bytes are there, or the file ends.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        let there = self.buffer.len() - self.at;
        if there >= needed || self.unread == 0 {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let wanted = (needed - there).max(SCAN_BYTES) as u64;
        let taken = wanted.min(self.unread);
        // Bounded by what the file has: nothing is allocated because a length says so.
        let read = (&mut self.source).take(taken).read_to_end(&mut self.buffer)?;
        if (read as u64) < taken {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread -= taken;
        Ok(())
    }
}

/// Whether a valid entry in `tail` says that the entry of this sequence, which should be at its
/// front, was once on disk.
fn proves_damage(tail: &[u8], salt: u32, sequence: u64) -> bool {
    let last_possible = sequence.saturating_add((tail.len() / FRAME_BYTES) as u64);
    let mut searched_bytes = 0;
    for at in 1..tail.len() {
        let Some(place) = entry::peek_place(&tail[at..]) else { break };
        if place.sequence <= sequence || place.sequence > last_possible {
            continue;
        }
        // Its group was written after everything before it was synced.
        let in_later_group = place.sequence - sequence > u64::from(place.in_group);
        if !in_later_group {
            continue;
        }
        searched_bytes += entry::peek_bytes(&tail[at..]).min(tail.len() - at);
        if searched_bytes > SEARCH_BYTES_MAX {
            return true;
        }
        if entry::decode(&tail[at..], salt).is_ok() {
            return true;
        }
    }
    false
}
