//! Kafka's codecs, with a bound on what comes out.

use std::io::{Read, Write};

use super::error::BatchError;
use super::header::Compression;

/// The magic of xerial's snappy framing, as Kafka's Java clients write it.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version and compatible version.
const XERIAL_HEADER_BYTES: usize = 16;
/// Uncompressed bytes of a xerial block, as Kafka's Java clients choose it.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

/// The speed level of zstd that Kafka's clients use by default.
const ZSTD_LEVEL: i32 = 3;

/// Decompresses a payload.
///
/// # Errors
/// If the data is damaged, or more than `bytes_max` bytes come out: they are not kept.
pub fn decompress(
    compression: Compression,
    data: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, BatchError> {
    match compression {
        Compression::None => {
            if data.len() > bytes_max {
                return Err(BatchError::DecompressedTooLarge { compression, bytes_max });
            }
            Ok(data.to_vec())
        }
        Compression::Gzip => {
            read_bounded(compression, flate2::read::MultiGzDecoder::new(data), bytes_max)
        }
        Compression::Snappy => decompress_snappy(data, bytes_max),
        Compression::Lz4 => {
            read_bounded(compression, lz4_flex::frame::FrameDecoder::new(data), bytes_max)
        }
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::new(data)
                .map_err(|error| damaged(compression, &error))?;
            read_bounded(compression, decoder, bytes_max)
        }
    }
}

/// Compresses a payload, as Kafka's Java clients frame it.
pub fn compress(compression: Compression, data: &[u8]) -> Result<Vec<u8>, BatchError> {
    let failed =
        |error: std::io::Error| BatchError::Compress { compression, why: error.to_string() };
    match compression {
        Compression::None => Ok(data.to_vec()),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(data).map_err(failed)?;
            encoder.finish().map_err(failed)
        }
        Compression::Snappy => compress_snappy(data),
        Compression::Lz4 => {
            let frame = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, Vec::new());
            encoder.write_all(data).map_err(failed)?;
            encoder.finish().map_err(|error| failed(error.into()))
        }
        Compression::Zstd => zstd::stream::encode_all(data, ZSTD_LEVEL).map_err(failed),
    }
}

fn damaged(compression: Compression, why: &dyn std::fmt::Display) -> BatchError {
    BatchError::Decompress { compression, why: why.to_string() }
}

fn read_bounded(
    compression: Compression,
    decoder: impl Read,
    bytes_max: usize,
) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    // One byte more than allowed tells that there is more.
    decoder
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| damaged(compression, &error))?;
    if out.len() > bytes_max {
        return Err(BatchError::DecompressedTooLarge { compression, bytes_max });
    }
    Ok(out)
}

fn decompress_snappy(data: &[u8], bytes_max: usize) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    if !data.starts_with(&XERIAL_MAGIC) {
        // librdkafka writes one raw block.
        append_snappy_block(&mut out, data, bytes_max)?;
        return Ok(out);
    }
    let short = || damaged(Compression::Snappy, &"a block is cut off");
    let mut rest = data.get(XERIAL_HEADER_BYTES..).ok_or_else(short)?;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let length = u32::from_be_bytes(*length) as usize;
        let block = behind.get(..length).ok_or_else(short)?;
        append_snappy_block(&mut out, block, bytes_max)?;
        rest = &behind[length..];
    }
    Ok(out)
}

fn append_snappy_block(
    out: &mut Vec<u8>,
    block: &[u8],
    bytes_max: usize,
) -> Result<(), BatchError> {
    let compression = Compression::Snappy;
    let length = snap::raw::decompress_len(block).map_err(|error| damaged(compression, &error))?;
    if length > bytes_max - out.len() {
        return Err(BatchError::DecompressedTooLarge { compression, bytes_max });
    }
    let begin = out.len();
    out.resize(begin + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, &mut out[begin..])
        .map_err(|error| damaged(compression, &error))?;
    out.truncate(begin + written);
    Ok(())
}

fn compress_snappy(data: &[u8]) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    out.extend_from_slice(&XERIAL_MAGIC);
    out.extend_from_slice(&1_u32.to_be_bytes());
    out.extend_from_slice(&1_u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for chunk in data.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder.compress_vec(chunk).map_err(|error| BatchError::Compress {
            compression: Compression::Snappy,
            why: error.to_string(),
        })?;
        // A block of 32 KiB compresses to little more than that at worst.
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(out)
}
