//! What surely lies in a mirror, in few bytes: the record that takes the place of entries.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::record::Fact;
use crate::offsets::Block;

/// The digits of base64 (RFC 4648 §4); the value is written without padding.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What surely lies in a mirror between two of its offsets, whatever was written ahead there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Body", try_from = "Body")]
pub struct Sealed {
    /// The turn that read it.
    pub turn: u32,
    /// Where the last block of that turn ends: before that one is written, none of them counts.
    pub until: i64,
    /// From which offset of the mirror on records have which source leader epoch.
    pub epochs: Vec<(i64, i32)>,
    pub(crate) block: Block,
}

/// As it is written.
#[derive(Clone, Serialize, Deserialize)]
struct Body {
    turn: u32,
    until: i64,
    source: (i64, i64),
    target: (i64, i64),
    epochs: Vec<(i64, i32)>,
    /// See `offsets/packed.rs`.
    packed: String,
}

/// A block that does not hold together.
#[derive(Debug, thiserror::Error)]
enum BadBlock {
    #[error("packed is not base64")]
    Base64,
    #[error("packed does not hold source offsets {0:?} and target offsets {1:?}")]
    Extent((i64, i64), (i64, i64)),
}

impl Sealed {
    /// The offsets of the mirror.
    pub fn target(&self) -> Range<i64> {
        self.block.target().clone()
    }

    /// What is true of a mirror that ends at `log_end` by this.
    pub(crate) fn fact_at(&self, log_end: i64) -> Option<Fact> {
        let target = self.block.target();
        let target_offset = log_end.min(target.end);
        if target_offset <= target.start {
            return None;
        }
        let source_offset = self.block.source_behind(target_offset)?;
        let before = self.epochs.partition_point(|(from, _)| *from < target_offset);
        let source_leader_epoch = before.checked_sub(1).map_or(-1, |last| self.epochs[last].1);
        Some(Fact { target_offset, source_offset, source_leader_epoch, turn: self.turn })
    }
}

impl From<Sealed> for Body {
    fn from(sealed: Sealed) -> Self {
        let (source, target) = (sealed.block.source(), sealed.block.target());
        Self {
            turn: sealed.turn,
            until: sealed.until,
            source: (source.start, source.end),
            target: (target.start, target.end),
            packed: to_base64(sealed.block.packed()),
            epochs: sealed.epochs,
        }
    }
}

impl TryFrom<Body> for Sealed {
    type Error = BadBlock;

    fn try_from(body: Body) -> Result<Self, BadBlock> {
        let Body { turn, until, source, target, epochs, packed } = body;
        let packed = from_base64(&packed).ok_or(BadBlock::Base64)?;
        let block = Block::unpack(source.0..source.1, target.0..target.1, packed);
        let block = block.ok_or(BadBlock::Extent(source, target))?;
        Ok(Self { turn, until, epochs, block })
    }
}

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (index, &byte)| bits | (u32::from(byte) << (16 - 8 * index)));
        for digit in 0..=three.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 0x3f]));
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for (index, digit) in four.iter().enumerate() {
            let value = DIGITS.iter().position(|known| known == digit)?;
            bits |= (value as u32) << (18 - 6 * index);
        }
        let whole = four.len().checked_sub(1).filter(|&whole| whole > 0)?;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_base64_and_read_back() {
        // RFC 4648 §10, without padding.
        let known = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")];
        for (bytes, text) in known {
            assert_eq!(to_base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(from_base64("Zm9vY"), None);
        assert_eq!(from_base64("Zm9v!"), None);
    }
}
