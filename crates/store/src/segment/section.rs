//! The part of a log that lies in one object: whole batches, one behind the other, and behind them
//! an index of blocks with their checksums. Pure.

use crate::extent::SegmentFacts;
use crate::fields::Fields;
use crate::limits::BLOCK_BYTES;
use crate::wal::entry::BatchFacts;

/// What an object with sections begins with: "farlogsg" and the number of this format.
pub(crate) const OBJECT_MAGIC: &[u8; 12] = b"farlogsg\0\0\0\x01";

/// Bytes of an index entry: base offset, position, checksum.
const INDEX_ENTRY_BYTES: usize = 16;

/// Names an object with sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectName {
    /// Of the store that wrote it: no two ever choose the same name.
    pub(crate) epoch: u64,
    pub(crate) number: u64,
}

/// Where a part of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) object: ObjectName,
    /// Of the first batch, in the object.
    pub(crate) position: u64,
    /// Of the index, right behind the last batch.
    pub(crate) index_bytes: u32,
    pub(crate) facts: SegmentFacts,
}

/// Batches that are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) base_offset: i64,
    /// In the section.
    pub(crate) position: u32,
    /// CRC-32C.
    pub(crate) crc: u32,
}

/// Collects the batches of a section that are written behind each other.
#[derive(Debug)]
pub(crate) struct SectionBuilder {
    position: u64,
    facts: SegmentFacts,
    blocks: Vec<Block>,
    block_bytes: usize,
}

/// A batch of a section, found by its own header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked<'a> {
    pub(crate) next_offset: i64,
    pub(crate) bytes: &'a [u8],
}

impl SectionBuilder {
    /// Of a section that begins at this position of its object.
    pub(crate) fn new(position: u64, first: BatchFacts) -> Self {
        let BatchFacts { base_offset, next_offset, max_timestamp_ms } = first;
        let facts = SegmentFacts { base_offset, next_offset, max_timestamp_ms, size_bytes: 0 };
        Self { position, facts, blocks: Vec::new(), block_bytes: 0 }
    }

    /// Takes note of the next batch.
    pub(crate) fn push(&mut self, facts: BatchFacts, bytes: &[u8]) {
        match self.blocks.last_mut() {
            Some(last) if self.block_bytes + bytes.len() <= BLOCK_BYTES => {
                last.crc = crc32c::crc32c_append(last.crc, bytes);
                self.block_bytes += bytes.len();
            }
            _ => {
                let position = u32::try_from(self.facts.size_bytes);
                let position = position.expect("an object is smaller than 4 GiB");
                let (base_offset, crc) = (facts.base_offset, crc32c::crc32c(bytes));
                self.blocks.push(Block { base_offset, position, crc });
                self.block_bytes = bytes.len();
            }
        }
        self.facts.next_offset = facts.next_offset;
        self.facts.max_timestamp_ms = self.facts.max_timestamp_ms.max(facts.max_timestamp_ms);
        self.facts.size_bytes += bytes.len() as u64;
    }

    /// Writes the index behind the batches.
    pub(crate) fn finish(self, object: ObjectName, out: &mut Vec<u8>) -> Section {
        let begin = out.len();
        for block in &self.blocks {
            out.extend_from_slice(&block.base_offset.to_be_bytes());
            out.extend_from_slice(&block.position.to_be_bytes());
            out.extend_from_slice(&block.crc.to_be_bytes());
        }
        let crc = crc32c::crc32c(&out[begin..]);
        out.extend_from_slice(&crc.to_be_bytes());
        let index_bytes = u32::try_from(out.len() - begin).expect("smaller than its section");
        Section { object, position: self.position, index_bytes, facts: self.facts }
    }
}

/// Reads an index; `None` if it is damaged.
pub(crate) fn decode_index(bytes: &[u8]) -> Option<Vec<Block>> {
    let (index, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(index) != u32::from_be_bytes(*crc) {
        return None;
    }
    let mut fields = Fields::new(index);
    let mut blocks = Vec::with_capacity(index.len() / INDEX_ENTRY_BYTES);
    while !fields.is_empty() {
        let (base_offset, position) = (fields.i64()?, fields.u32()?);
        blocks.push(Block { base_offset, position, crc: fields.u32()? });
    }
    Some(blocks)
}

/// The blocks to read for the batches from `offset` on, until there are more than `bytes_max` bytes
/// of them besides the first.
pub(crate) fn wanted_blocks(
    section: &Section,
    blocks: &[Block],
    offset: i64,
    bytes_max: usize,
) -> std::ops::Range<usize> {
    let after = blocks.partition_point(|block| block.base_offset <= offset);
    let first = after.saturating_sub(1);
    let mut last = first;
    let mut bytes = 0;
    for index in first..blocks.len() {
        last = index + 1;
        // The first one may end before `offset`, where there is a gap.
        if index > first {
            bytes += block_bytes(section, blocks, index);
            if bytes > bytes_max {
                break;
            }
        }
    }
    first..last
}

/// Bytes of one block; 0 if the index makes no sense.
pub(crate) fn block_bytes(section: &Section, blocks: &[Block], index: usize) -> usize {
    let end = blocks.get(index + 1).map_or(section.facts.size_bytes, |next| next.position.into());
    let begin = blocks.get(index).map_or(end, |block| block.position.into());
    usize::try_from(end.saturating_sub(begin)).unwrap_or(0)
}

/// The batch at the front of `bytes`, by its header; `None` if there is no whole one.
pub(crate) fn walk(bytes: &[u8]) -> Option<Walked<'_>> {
    let mut fields = Fields::new(bytes);
    let base_offset = fields.i64()?;
    let length = usize::try_from(fields.u32()?).ok()?;
    let batch = bytes.get(..length.checked_add(12)?)?;
    let mut fields = Fields::new(batch.get(23..)?);
    let last_offset_delta = i64::from(fields.u32()?);
    Some(Walked { next_offset: base_offset.checked_add(last_offset_delta + 1)?, bytes: batch })
}
