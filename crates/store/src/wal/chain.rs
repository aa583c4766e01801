//! Takes over a write-ahead log that is in a bucket: puts a fence behind its last chunk, reads the
//! chunks, and makes files of them as they would be on a disk.
//!
//! Whoever wrote the log before finds the fence where its next chunk should be, and acknowledges
//! nothing more. Fences are never deleted: however late it comes, it finds one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use super::chunk::{Author, Chunk};
use super::file_name::FileName;
use crate::limits::CHUNKS_AT_A_TIME;
use crate::objects::{Made, ObjectError, Objects};

/// A log that is ours.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Of the next chunk.
    pub(crate) next: u64,
    /// The chunks of each file that is needed, by its number.
    pub(crate) files: BTreeMap<u64, RangeInclusive<u64>>,
}

/// A log in a bucket cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// It may have been deleted by whoever has the store open: then there is a newer manifest.
    #[error("chunk {0} of the write-ahead log is missing")]
    Missing(u64),
    #[error("chunk {number} of the write-ahead log is damaged: {why}")]
    Damaged { number: u64, why: &'static str },
    #[error("cannot write the log's files: {0}")]
    Files(#[from] io::Error),
}

/// Puts a fence behind the last chunk from `first` on, and says which number it has. If that is
/// below the first chunk that the newest manifest needs, it stands where somebody has deleted
/// chunks, and fences nobody.
///
/// # Errors
/// If the bucket refuses, or if it cannot be said where the log ends.
pub(crate) async fn fence(
    objects: &Objects,
    first: u64,
    author: Author,
) -> Result<u64, ChainError> {
    let listed = objects.chunks(first).await?;
    let mut number = listed.last().map_or(first, |last| last.number + 1);
    let file = FileName { number: 0, sequence: 0, salt: 0 };
    loop {
        let fence = Chunk { number, author, file, position: 0, bytes: Bytes::new() };
        let made = objects.create_chunk_patiently(number, fence.encode()).await;
        match found(number, made)? {
            Made::Ours => return Ok(number),
            // It was written since the chunks were listed.
            Made::Theirs(_) => number += 1,
        }
    }
}

/// Makes files in an empty directory of the chunks from `first` to the fence, of the files from
/// `log_from` on.
///
/// # Errors
/// If a chunk is missing or damaged, or if the bucket or the disk refuses.
pub(crate) async fn read(
    objects: &Objects,
    directory: &Path,
    first: u64,
    fence: u64,
    log_from: u64,
) -> Result<Chain, ChainError> {
    let mut files = Files {
        directory,
        log_from,
        chunks: BTreeMap::new(),
        name: FileName { number: 0, sequence: 0, salt: 0 },
        current: None,
    };
    let read = |number| async move {
        let bytes = found(number, objects.chunk_bytes(number).await)?;
        Ok::<_, ChainError>((number, bytes))
    };
    let chunks = futures_util::stream::iter(first..fence).map(read);
    let mut chunks = chunks.buffered(CHUNKS_AT_A_TIME);
    while let Some((number, bytes)) = chunks.try_next().await? {
        files.take(number, &bytes)?;
    }
    Ok(Chain { next: fence + 1, files: files.chunks })
}

fn found<T>(number: u64, read: Result<T, ObjectError>) -> Result<T, ChainError> {
    read.map_err(|error| match error {
        error if error.is_not_found() => ChainError::Missing(number),
        error => error.into(),
    })
}

/// The files that the chunks come to.
struct Files<'a> {
    directory: &'a Path,
    log_from: u64,
    chunks: BTreeMap<u64, RangeInclusive<u64>>,
    /// Of the last one.
    name: FileName,
    /// The last one that is needed, and how long it is so far.
    current: Option<(File, u64)>,
}

impl Files<'_> {
    fn take(&mut self, number: u64, object: &Bytes) -> Result<(), ChainError> {
        let damaged = |why| ChainError::Damaged { number, why };
        let chunk = Chunk::decode(object).filter(|chunk| chunk.number == number);
        let chunk = chunk.ok_or_else(|| damaged("it is not as it was written"))?;
        if chunk.bytes.is_empty() || chunk.file.number < self.log_from {
            return Ok(());
        }
        if chunk.position == 0 {
            if self.chunks.contains_key(&chunk.file.number) {
                return Err(damaged("it begins a file again"));
            }
            let path = self.directory.join(chunk.file.to_string());
            self.current = Some((File::create_new(path)?, 0));
            self.name = chunk.file;
        }
        let Some((file, bytes)) = &mut self.current else {
            return Err(damaged("it does not begin a file"));
        };
        if chunk.file != self.name || chunk.position != *bytes {
            return Err(damaged("it does not continue the chunk before"));
        }
        file.write_all(&chunk.bytes)?;
        *bytes += chunk.bytes.len() as u64;
        let first = self.chunks.get(&self.name.number).map_or(number, |chunks| *chunks.start());
        self.chunks.insert(self.name.number, first..=number);
        Ok(())
    }
}

/// Deletes all files of logs in a directory: those of a log that is in a bucket are but copies.
pub(crate) fn clear(directory: &Path) -> io::Result<()> {
    for found in fs::read_dir(directory)? {
        let found = found?;
        if found.file_name().to_str().and_then(FileName::parse).is_some() {
            fs::remove_file(found.path())?;
        }
    }
    Ok(())
}
