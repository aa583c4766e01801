//! What a store consists of at one moment, in an object of its own: bytes ↔ values. Pure.
//!
//! Manifests are numbered and never overwritten: who makes number n + 1 continues number n, and
//! nobody else can. The epoch says which store did it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::section::{ObjectName, Section};
use crate::extent::{Checkpoint, LogId, SegmentFacts};
use crate::fields::{Fields, write_id};
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::wal::marks::Mark;

/// "farlogmf".
const MAGIC: u64 = u64::from_be_bytes(*b"farlogmf");

/// Of this format; stored, so a change of the format is a new number.
const VERSION: u32 = 2;

/// Of the format before: without chunks.
const VERSION_WITHOUT_CHUNKS: u32 = 1;

/// A store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) number: u64,
    /// One more for each time that the store is opened.
    pub(crate) epoch: u64,
    /// Random, of the store that made it: two that open the same place at the same time would
    /// otherwise make the same manifest, and both think it theirs.
    pub(crate) author: u64,
    /// The first file of the write-ahead log that is needed, and what it begins with.
    pub(crate) log_from: u64,
    /// Of the first entry of that file.
    pub(crate) sequence: u64,
    /// The first chunk of the write-ahead log that is needed, if it is in the bucket; 0 if it is in
    /// files.
    pub(crate) chunk_from: u64,
    /// As of the beginning of that file.
    pub(crate) incarnation_next: u64,
    /// As of the beginning of that file.
    pub(crate) logs: BTreeMap<LogId, ManifestLog>,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManifestLog {
    pub(crate) mark: Mark,
    /// In order.
    pub(crate) sections: Vec<Section>,
    pub(crate) checkpoint: Option<Checkpoint>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        let Self { number, epoch, author, log_from, sequence, chunk_from, .. } = self;
        let numbers =
            [number, epoch, author, log_from, sequence, &self.incarnation_next, chunk_from];
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
        write_count(&mut out, self.logs.len());
        for (&id, log) in &self.logs {
            write_id(&mut out, id);
            out.extend_from_slice(&log.mark.incarnation.to_be_bytes());
            out.extend_from_slice(&log.mark.start_offset.to_be_bytes());
            out.extend_from_slice(&log.mark.end_offset.to_be_bytes());
            write_count(&mut out, log.sections.len());
            log.sections.iter().for_each(|section| write_section(&mut out, section));
            write_count(&mut out, usize::from(log.checkpoint.is_some()));
            if let Some(Checkpoint { at_offset, state }) = &log.checkpoint {
                out.extend_from_slice(&at_offset.to_be_bytes());
                write_count(&mut out, state.len());
                out.extend_from_slice(state);
            }
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// `None` if the bytes are not a manifest, or not as they were written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(bytes) != u32::from_be_bytes(*crc) {
            return None;
        }
        let mut fields = Fields::new(bytes);
        if fields.u64()? != MAGIC {
            return None;
        }
        let has_chunks = match fields.u32()? {
            VERSION => true,
            VERSION_WITHOUT_CHUNKS => false,
            _ => return None,
        };
        let mut manifest = Self {
            number: fields.u64()?,
            epoch: fields.u64()?,
            author: fields.u64()?,
            log_from: fields.u64()?,
            sequence: fields.u64()?,
            incarnation_next: fields.u64()?,
            chunk_from: if has_chunks { fields.u64()? } else { 0 },
            logs: BTreeMap::new(),
        };
        for _ in 0..fields.u32()? {
            let id = fields.id()?;
            let mark = Mark {
                incarnation: fields.u64()?,
                start_offset: fields.i64()?,
                end_offset: fields.i64()?,
            };
            // Nothing is reserved for what a count says: each section is read first.
            let sections = (0..fields.u32()?).map(|_| section(&mut fields));
            let sections = sections.collect::<Option<Vec<_>>>()?;
            let checkpoint = if fields.u32()? == 0 { None } else { Some(checkpoint(&mut fields)?) };
            manifest.logs.insert(id, ManifestLog { mark, sections, checkpoint });
        }
        fields.is_empty().then_some(manifest)
    }
}

fn write_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("counts of logs and sections have 32 bits");
    out.extend_from_slice(&count.to_be_bytes());
}

fn write_section(out: &mut Vec<u8>, section: &Section) {
    let Section { object, position, index_bytes, facts } = section;
    out.extend_from_slice(&object.epoch.to_be_bytes());
    out.extend_from_slice(&object.number.to_be_bytes());
    out.extend_from_slice(&position.to_be_bytes());
    out.extend_from_slice(&index_bytes.to_be_bytes());
    out.extend_from_slice(&facts.base_offset.to_be_bytes());
    out.extend_from_slice(&facts.next_offset.to_be_bytes());
    out.extend_from_slice(&facts.max_timestamp_ms.to_be_bytes());
    out.extend_from_slice(&facts.size_bytes.to_be_bytes());
}

fn section(fields: &mut Fields<'_>) -> Option<Section> {
    let object = ObjectName { epoch: fields.u64()?, number: fields.u64()? };
    let (position, index_bytes) = (fields.u64()?, fields.u32()?);
    let facts = SegmentFacts {
        base_offset: fields.i64()?,
        next_offset: fields.i64()?,
        max_timestamp_ms: fields.i64()?,
        size_bytes: fields.u64()?,
    };
    Some(Section { object, position, index_bytes, facts })
}

fn checkpoint(fields: &mut Fields<'_>) -> Option<Checkpoint> {
    let at_offset = fields.i64()?;
    let bytes = usize::try_from(fields.u32()?).ok()?;
    if bytes > CHECKPOINT_BYTES_MAX {
        return None;
    }
    Some(Checkpoint { at_offset, state: Bytes::copy_from_slice(fields.bytes(bytes)?) })
}
