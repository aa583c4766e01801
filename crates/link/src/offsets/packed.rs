//! Stretches of an offset map in few bytes: what is not written to any more.
//!
//! A block says where it begins on both sides and then, stretch by stretch, how large the gap in
//! source offsets before it is and how many records it has: two bytes for most, and next to nothing
//! where gap and length repeat, as they do for transactions of one size. Blocks are read from their
//! beginning, so they are of bounded length. Pure.

use std::ops::Range;
use std::sync::Arc;

use super::{MappedRun, Stretch};

/// From so many equal stretches on they are written as one and a number.
const PERIODIC_MIN: usize = 4;

/// The kinds of items in a block: a varint of the kind in the two lowest bits and a number, then
/// varints (unsigned LEB128; gaps are zigzag, as they could be negative).
mod item {
    /// So many stretches follow: gap, number of records.
    pub(super) const LITERAL: u64 = 0;
    /// One stretch follows, and is so many.
    pub(super) const PERIODIC: u64 = 1;
    /// Unclear: gap, number of source offsets, number of records.
    pub(super) const UNCLEAR: u64 = 2;
}

/// Part of a map, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    source: Range<i64>,
    target: Range<i64>,
    stretches: usize,
    /// `None` if only its ends are still known.
    packed: Option<Arc<[u8]>>,
}

/// A stretch, by what is written of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Run { gap: i64, record_count: i64 },
    Unclear { gap: i64, source_count: i64, record_count: i64 },
}

impl Block {
    /// Packs stretches that follow each other at the target; `None` if there are none.
    pub(super) fn pack(stretches: &[Stretch]) -> Option<Self> {
        let (first, last) = (stretches.first()?, stretches.last()?);
        let source = first.source().start..last.source().end;
        let target = first.target().start..last.target().end;
        let packed = write_elements(&elements(stretches));
        let packed = Some(packed.into());
        Some(Self { source, target, stretches: stretches.len(), packed })
    }

    /// A block that was packed before; `None` if it does not hold what it should.
    pub(crate) fn unpack(source: Range<i64>, target: Range<i64>, packed: Vec<u8>) -> Option<Self> {
        let packed: Arc<[u8]> = packed.into();
        let mut block = Self { source, target, stretches: 0, packed: Some(packed) };
        let mut stretches = block.stretches();
        let (mut count, mut source_end) = (0, block.source.start);
        for stretch in stretches.by_ref() {
            let (source, target) = (stretch.source(), stretch.target());
            if source.start < source_end || target.is_empty() || target.end > block.target.end {
                return None;
            }
            source_end = source.end;
            count += 1;
        }
        let is_whole = stretches.rest.is_empty() && count > 0;
        let ends = (block.source.end, block.target.end);
        (is_whole && stretches.at == ends).then(|| {
            block.stretches = count;
            block
        })
    }

    /// The bytes that it is packed in; none if only its ends are known.
    pub(crate) fn packed(&self) -> &[u8] {
        self.packed.as_deref().unwrap_or_default()
    }

    /// The source offset behind the record before an offset of the mirror, if that is clear.
    pub(crate) fn source_behind(&self, target_position: i64) -> Option<i64> {
        if target_position == self.target.end {
            return Some(self.source.end);
        }
        self.stretches()
            .find(|one| one.target().end >= target_position)
            .and_then(|one| one.source_behind(target_position))
    }

    /// Its source offsets.
    pub(crate) fn source(&self) -> &Range<i64> {
        &self.source
    }

    /// Its offsets in the mirror.
    pub(crate) fn target(&self) -> &Range<i64> {
        &self.target
    }

    /// Number of stretches.
    pub(super) fn len(&self) -> usize {
        self.stretches
    }

    /// Bytes of memory.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.packed.as_ref().map_or(0, |packed| packed.len())
    }

    /// Forgets all but where it begins and ends.
    pub(super) fn forget(&mut self) {
        self.packed = None;
        self.stretches = 1;
    }

    /// Takes in the block behind it, of both of which only the ends are known.
    pub(super) fn join(&mut self, next: &Self) {
        self.source.end = next.source.end;
        self.target.end = next.target.end;
    }

    /// What it holds, in order.
    pub(super) fn stretches(&self) -> Stretches<'_> {
        let whole =
            || Stretch::Unclear { source: self.source.clone(), target: self.target.clone() };
        Stretches {
            forgotten: self.packed.is_none().then(whole),
            rest: self.packed.as_deref().unwrap_or_default(),
            at: (self.source.start, self.target.start),
            literal: 0,
            repeated: None,
        }
    }
}

fn elements(stretches: &[Stretch]) -> Vec<Element> {
    let mut source_end = stretches.first().map_or(0, |first| first.source().start);
    let mut elements = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        let (source, target) = (stretch.source(), stretch.target());
        let gap = source.start - source_end;
        let record_count = target.end - target.start;
        elements.push(match stretch {
            Stretch::Run(_) => Element::Run { gap, record_count },
            Stretch::Unclear { .. } => {
                let source_count = source.end - source.start;
                Element::Unclear { gap, source_count, record_count }
            }
        });
        source_end = source.end;
    }
    elements
}

fn write_elements(elements: &[Element]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut literal: Vec<Element> = Vec::new();
    for same in elements.chunk_by(|one, next| one == next) {
        if let Element::Run { .. } = same[0]
            && same.len() < PERIODIC_MIN
        {
            literal.extend(same);
            continue;
        }
        write_literal(&mut bytes, &mut literal);
        match same[0] {
            Element::Run { .. } => {
                put_item(&mut bytes, item::PERIODIC, same.len());
                put_run(&mut bytes, same[0]);
            }
            Element::Unclear { gap, source_count, record_count } => {
                for _ in same {
                    put_item(&mut bytes, item::UNCLEAR, 1);
                    put(&mut bytes, zigzag(gap));
                    put(&mut bytes, source_count.unsigned_abs());
                    put(&mut bytes, record_count.unsigned_abs());
                }
            }
        }
    }
    write_literal(&mut bytes, &mut literal);
    bytes
}

fn write_literal(bytes: &mut Vec<u8>, literal: &mut Vec<Element>) {
    if !literal.is_empty() {
        put_item(bytes, item::LITERAL, literal.len());
        literal.drain(..).for_each(|element| put_run(bytes, element));
    }
}

fn put_run(bytes: &mut Vec<u8>, element: Element) {
    if let Element::Run { gap, record_count } = element {
        put(bytes, zigzag(gap));
        put(bytes, record_count.unsigned_abs());
    }
}

fn put_item(bytes: &mut Vec<u8>, kind: u64, count: usize) {
    put(bytes, ((count as u64) << 2) | kind);
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The stretches of a block.
#[derive(Clone, Debug)]
pub(super) struct Stretches<'a> {
    forgotten: Option<Stretch>,
    rest: &'a [u8],
    at: (i64, i64),
    literal: u64,
    /// How often a stretch is still to come: gap, number of records.
    repeated: Option<(u64, i64, i64)>,
}

impl Iterator for Stretches<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        if let Some(whole) = self.forgotten.take() {
            return Some(whole);
        }
        if let Some((times, gap, record_count)) = self.repeated.take() {
            self.repeated = (times > 1).then_some((times - 1, gap, record_count));
            return Some(self.run(gap, record_count));
        }
        while self.literal == 0 {
            let item = self.varint()?;
            match (item & 3, item >> 2) {
                (item::LITERAL, count) => self.literal = count,
                (item::PERIODIC, times) => {
                    let (gap, record_count) = (self.gap()?, self.count()?);
                    self.repeated = (times > 1).then(|| (times - 1, gap, record_count));
                    return Some(self.run(gap, record_count));
                }
                (item::UNCLEAR, _) => {
                    let gap = self.gap()?;
                    let (source_count, record_count) = (self.count()?, self.count()?);
                    let source = self.at.0 + gap..self.at.0 + gap + source_count;
                    let target = self.at.1..self.at.1 + record_count;
                    self.at = (source.end, target.end);
                    return Some(Stretch::Unclear { source, target });
                }
                _ => return None,
            }
        }
        self.literal -= 1;
        let (gap, record_count) = (self.gap()?, self.count()?);
        Some(self.run(gap, record_count))
    }
}

impl Stretches<'_> {
    fn run(&mut self, gap: i64, record_count: i64) -> Stretch {
        let (source_offset, target_offset) = (self.at.0 + gap, self.at.1);
        self.at = (source_offset + record_count, target_offset + record_count);
        Stretch::Run(MappedRun { source_offset, target_offset, record_count })
    }

    fn gap(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    fn count(&mut self) -> Option<i64> {
        self.varint().and_then(|count| i64::try_from(count).ok())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}
