//! What a file of the log begins with: its head, and every log as it was then.

use std::io::{self, Read};

use super::entry::{Entry, EntryError};
use super::file_name::FileName;
use super::marks::{Mark, Marks};
use super::scan::Scanner;

/// Why a head cannot be read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The system refused.
    Failed(io::Error),
    /// There is no valid entry here.
    NoEntry(EntryError),
    /// The entry at this position does not belong there.
    Nonsense(u64, String),
}

/// Reads the front of a file, up to its first change.
pub(crate) fn scan<R: Read>(scanner: &mut Scanner<R>, file: u64) -> Result<Marks, HeadError> {
    let nonsense = |at, why: &str| Err(HeadError::Nonsense(at, why.to_owned()));
    let next = scanner.next().map_err(HeadError::Failed)?;
    let head = match next.map_err(HeadError::NoEntry)?.1.entry {
        Entry::Head(head) if head.file == file => head,
        _ => return nonsense(0, "it does not begin with its head"),
    };
    let mut marks = Marks { incarnation_next: head.incarnation_next, ..Marks::default() };
    for _ in 0..head.marks {
        let next = scanner.next().map_err(HeadError::Failed)?;
        let (position, decoded) = next.map_err(HeadError::NoEntry)?;
        let Entry::Mark { id, incarnation, start_offset, end_offset } = decoded.entry else {
            return nonsense(position, "a log is missing from the head");
        };
        let inserted = marks.insert(id, Mark { incarnation, start_offset, end_offset });
        inserted.map_err(|error| HeadError::Nonsense(position, error.to_string()))?;
    }
    Ok(marks)
}

/// Reads the front of a file that is known to be complete.
pub(crate) fn read<R: Read>(file: R, bytes: u64, name: FileName) -> io::Result<Marks> {
    let mut scanner = Scanner::new(file, bytes, name.sequence, name.salt);
    scan(&mut scanner, name.number).map_err(|error| match error {
        HeadError::Failed(error) => error,
        HeadError::NoEntry(why) => io::Error::other(why),
        HeadError::Nonsense(at, why) => io::Error::other(format!("byte {at}: {why}")),
    })
}
