//! Reads of a log from segment objects.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::buffers::Buffers;
use crate::limits::{BLOCK_BYTES, INDEX_CACHE_BYTES};
use crate::objects::{ObjectError, Objects};
use crate::read::Wanted;
use crate::segment::section::{self, Block, ObjectName, Section};

/// Reads sections.
#[derive(Debug)]
pub(crate) struct SectionReader {
    objects: Objects,
    buffers: Buffers,
    indexes: Mutex<Indexes>,
}

/// The indexes that were read last.
#[derive(Debug, Default)]
struct Indexes {
    by_place: HashMap<(ObjectName, u64), Arc<Vec<Block>>>,
    /// Oldest first.
    order: VecDeque<(ObjectName, u64)>,
    bytes: usize,
}

/// A section cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SectionError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("segment {epoch}-{number} is damaged at byte {position}: {why}")]
    Damaged { epoch: u64, number: u64, position: u64, why: &'static str },
}

impl SectionError {
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Object(error) if error.is_not_found())
    }
}

fn damaged(section: &Section, at: u64, why: &'static str) -> SectionError {
    let ObjectName { epoch, number } = section.object;
    SectionError::Damaged { epoch, number, position: section.position + at, why }
}

impl SectionReader {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, buffers: Buffers::default(), indexes: Mutex::default() }
    }

    /// For whoever reads of the same logs elsewhere, too.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    async fn bytes(&self, object: ObjectName, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.objects.segment_bytes(object, range, &self.buffers).await
    }

    /// The wanted batches, as far as they are in this section.
    pub(crate) async fn read(
        &self,
        section: &Section,
        wanted: Wanted,
    ) -> Result<Bytes, SectionError> {
        let size_bytes = section.facts.size_bytes;
        let (blocks, first, found) = if size_bytes <= BLOCK_BYTES as u64 {
            let end = section.position + size_bytes + u64::from(section.index_bytes);
            let whole = self.bytes(section.object, section.position..end).await?;
            // As much as was asked for, or an error.
            let size_bytes = usize::try_from(size_bytes).unwrap_or(0).min(whole.len());
            let blocks = decoded(section, &whole.slice(size_bytes..))?;
            (Arc::new(blocks), 0, whole.slice(..size_bytes))
        } else {
            let blocks = self.index(section).await?;
            let range = section::wanted_blocks(section, &blocks, wanted.offset, wanted.bytes_max);
            let begin = blocks.get(range.start).map_or(0, |block| u64::from(block.position));
            let end = blocks.get(range.end).map_or(size_bytes, |block| u64::from(block.position));
            let in_object = section.position + begin..section.position + end;
            let found = self.bytes(section.object, in_object).await?;
            (blocks, range.start, found)
        };
        check(section, &blocks, first, &found)?;
        take(section, &found, wanted)
    }

    async fn index(&self, section: &Section) -> Result<Arc<Vec<Block>>, SectionError> {
        let place = (section.object, section.position);
        let known = self.lock().by_place.get(&place).map(Arc::clone);
        if let Some(known) = known {
            return Ok(known);
        }
        let begin = section.position + section.facts.size_bytes;
        let range = begin..begin + u64::from(section.index_bytes);
        let bytes = self.bytes(section.object, range).await?;
        let blocks = Arc::new(decoded(section, &bytes)?);
        self.lock().insert(place, &blocks);
        Ok(blocks)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Indexes> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Indexes {
    fn insert(&mut self, place: (ObjectName, u64), blocks: &Arc<Vec<Block>>) {
        if self.by_place.insert(place, Arc::clone(blocks)).is_some() {
            return;
        }
        self.order.push_back(place);
        self.bytes += size_of_val(blocks.as_slice());
        while self.bytes > INDEX_CACHE_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.by_place.remove(&oldest);
            self.bytes -= gone.map_or(0, |blocks| size_of_val(blocks.as_slice()));
        }
    }
}

fn decoded(section: &Section, bytes: &[u8]) -> Result<Vec<Block>, SectionError> {
    let at = section.facts.size_bytes;
    section::decode_index(bytes).ok_or_else(|| damaged(section, at, "its index is not valid"))
}

/// Checks the blocks from `first` on that are in `found`.
fn check(
    section: &Section,
    blocks: &[Block],
    first: usize,
    found: &[u8],
) -> Result<(), SectionError> {
    let mut rest = found;
    for (index, block) in blocks.iter().enumerate().skip(first) {
        if rest.is_empty() {
            break;
        }
        let bytes = section::block_bytes(section, blocks, index);
        let intact = rest.get(..bytes).is_some_and(|bytes| crc32c::crc32c(bytes) == block.crc);
        if !intact {
            return Err(damaged(section, block.position.into(), "checksum mismatch"));
        }
        rest = &rest[bytes..];
    }
    Ok(())
}

/// Takes the wanted batches out of whole blocks.
fn take(section: &Section, found: &Bytes, wanted: Wanted) -> Result<Bytes, SectionError> {
    let mut at = 0;
    let mut from = None;
    while at < found.len() {
        let walked = section::walk(&found[at..])
            .ok_or_else(|| damaged(section, at as u64, "no batch is where one should be"))?;
        let bytes = walked.bytes.len();
        if walked.next_offset > wanted.offset {
            let begin = *from.get_or_insert(at);
            let forced = wanted.at_least_one && begin == at;
            if at + bytes - begin > wanted.bytes_max && !forced {
                break;
            }
        }
        at += bytes;
    }
    let Some(begin) = from else { return Ok(Bytes::new()) };
    let wanted = found.slice(begin..at);
    // A copy if what was read is much more than that: it would be held with it.
    match wanted.len() * 2 < found.len() {
        true => Ok(Bytes::copy_from_slice(&wanted)),
        false => Ok(wanted),
    }
}
