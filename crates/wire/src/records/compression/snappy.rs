//! Snappy, in xerial's frames and without.
//!
//! A framed stream is a 16-byte header (magic, version, lowest compatible version) and then chunks
//! of a 4-byte big-endian length and a raw Snappy block. Source: the stream format of
//! snappy-java's `SnappyOutputStream`, which KIP-98's Java clients write.

use std::io;

use super::capped::Capped;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

/// Magic, version 1, compatible with version 1.
const HEADER_BYTES: usize = 16;

/// Bytes of plain data in one block that we write: snappy-java's default.
const BLOCK_BYTES: usize = 32 * 1024;

/// A Snappy element makes at most 64 bytes of 3 (a copy with a 2-byte offset), so that a block
/// which declares more than this for each of its bytes lies.
const DECOMPRESSED_BYTES_PER_BYTE_MAX: usize = 22;

pub(super) fn decompress(compressed: &[u8], sink: &mut Capped<'_>) -> io::Result<()> {
    if !compressed.starts_with(&MAGIC) {
        return decompress_block(compressed, sink);
    }
    let Some(mut rest) = compressed.get(HEADER_BYTES..) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| io::Error::other("negative length of a block"))?;
        if length > behind.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (block, behind) = behind.split_at(length);
        decompress_block(block, sink)?;
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn decompress_block(block: &[u8], sink: &mut Capped<'_>) -> io::Result<()> {
    let declared = snap::raw::decompress_len(block)?;
    if declared > block.len().saturating_mul(DECOMPRESSED_BYTES_PER_BYTE_MAX) {
        return Err(io::Error::other("a block declares more than its bytes can hold"));
    }
    let written = snap::raw::Decoder::new().decompress(block, sink.claim(declared)?)?;
    debug_assert_eq!(written, declared, "the decoder fills what the block declares");
    Ok(())
}

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for plain in bytes.chunks(BLOCK_BYTES) {
        let length_at = out.len();
        let begin = length_at + 4;
        out.resize(begin + snap::raw::max_compress_len(plain.len()), 0);
        let length = encoder.compress(plain, &mut out[begin..])?;
        let declared = i32::try_from(length).map_err(io::Error::other)?;
        out[length_at..begin].copy_from_slice(&declared.to_be_bytes());
        out.truncate(begin + length);
    }
    Ok(())
}
