//! An object of a write-ahead log that is in a bucket: bytes ↔ values. Pure.
//!
//! Chunks are numbered without a hole, and never overwritten: who makes chunk n + 1 has seen chunk
//! n, and nobody else can make it. A chunk holds what was written to a file of the log between two
//! syncs. One without bytes is a fence: who takes over makes it where the store before would go on.

use bytes::Bytes;

use super::file_name::FileName;
use crate::fields::Fields;

/// "farlogwc".
const MAGIC: u64 = u64::from_be_bytes(*b"farlogwc");

/// Of this format; stored, so a change of the format is a new number.
const VERSION: u32 = 1;

/// Bytes of a chunk besides those of the file.
pub(crate) const CHUNK_OVERHEAD_BYTES: usize = 8 + 4 + 5 * 8 + 4 + 8 + 4;

/// Who makes chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    /// Of the manifest that says, or would say, that the store is theirs.
    pub(crate) epoch: u64,
    /// Random: two may open a store at the same time.
    pub(crate) number: u64,
}

/// What was written to a file of the log between two syncs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) number: u64,
    pub(crate) author: Author,
    pub(crate) file: FileName,
    /// Where the bytes begin in the file.
    pub(crate) position: u64,
    pub(crate) bytes: Bytes,
}

impl Chunk {
    pub(crate) fn encode(&self) -> Bytes {
        let Self { number, author, file, position, bytes } = self;
        let mut out = Vec::with_capacity(CHUNK_OVERHEAD_BYTES + bytes.len());
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        let numbers = [*number, author.epoch, author.number, file.number, file.sequence];
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
        out.extend_from_slice(&file.salt.to_be_bytes());
        out.extend_from_slice(&position.to_be_bytes());
        out.extend_from_slice(bytes);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        Bytes::from(out)
    }

    /// `None` if the bytes are not a chunk, or not as they were written.
    pub(crate) fn decode(object: &Bytes) -> Option<Self> {
        let (front, crc) = object.split_last_chunk::<4>()?;
        if crc32c::crc32c(front) != u32::from_be_bytes(*crc) {
            return None;
        }
        let mut fields = Fields::new(front);
        if fields.u64()? != MAGIC || fields.u32()? != VERSION {
            return None;
        }
        let number = fields.u64()?;
        let author = Author { epoch: fields.u64()?, number: fields.u64()? };
        let (file, sequence, salt) = (fields.u64()?, fields.u64()?, fields.u32()?);
        let file = FileName { number: file, sequence, salt };
        let position = fields.u64()?;
        let begin = front.len() - fields.rest().len();
        Some(Self { number, author, file, position, bytes: object.slice(begin..front.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_survive_and_nothing_else_is_taken_for_one() {
        for bytes in [Bytes::new(), Bytes::from_static(b"entries")] {
            let chunk = Chunk {
                number: 7,
                author: Author { epoch: 3, number: 99 },
                file: FileName { number: 5, sequence: 1234, salt: 42 },
                position: 17,
                bytes,
            };
            let encoded = chunk.encode();
            assert_eq!(encoded.len(), CHUNK_OVERHEAD_BYTES + chunk.bytes.len());
            assert_eq!(Chunk::decode(&encoded), Some(chunk));
            for at in 0..encoded.len() {
                let mut damaged = encoded.to_vec();
                damaged[at] ^= 1 << (at % 8);
                assert_eq!(Chunk::decode(&Bytes::from(damaged)), None, "byte {at}");
                assert_eq!(Chunk::decode(&encoded.slice(..at)), None, "cut at {at}");
            }
        }
    }
}
