//! The codecs of record batches, with a bound on what comes out.
//!
//! Contexts are made for each call: whole batches that pass through never come here.

mod capped;
mod snappy;

use std::io::{self, Write};

use thiserror::Error;

use capped::Capped;

/// How a batch's records are compressed. The discriminants are the wire's codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy: written in the frames of the xerial Java library, as Kafka's Java clients do; read
    /// with and without them, because librdkafka writes none.
    Snappy = 2,
    /// LZ4 frames with independent blocks: Kafka's Java reader knows no others.
    Lz4 = 3,
    /// Zstandard (KIP-110).
    Zstd = 4,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The compression of a wire code; `None` for codes that Kafka does not define.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| *compression as i16 == code)
    }

    /// Whether the records are compressed.
    pub fn is_compressed(self) -> bool {
        self != Self::None
    }

    /// Kafka's name for it, as in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Data that a codec refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// Compressed data that does not decompress.
    #[error("{} data of {compressed_bytes} bytes does not decompress: {why}", .compression.name())]
    Malformed {
        /// The codec.
        compression: Compression,
        /// Bytes that were given.
        compressed_bytes: usize,
        /// What the codec said.
        why: String,
    },
    /// More than we are ready to hold.
    #[error(
        "{} data of {compressed_bytes} bytes decompresses to more than {decompressed_bytes_max}",
        .compression.name()
    )]
    TooLarge {
        /// The codec.
        compression: Compression,
        /// Bytes that were given.
        compressed_bytes: usize,
        /// The bound, in bytes.
        decompressed_bytes_max: usize,
    },
    /// Data that does not compress: a fault of the codec, since any data does.
    #[error("{} compression of {bytes} bytes failed: {why}", .compression.name())]
    Compress {
        /// The codec.
        compression: Compression,
        /// Bytes that were given.
        bytes: usize,
        /// What the codec said.
        why: String,
    },
}

/// The level of zstd, Kafka's default (`compression.zstd.level`).
const ZSTD_LEVEL: i32 = 3;

/// The largest window that zstd frames may ask for, as a power of two: that of level 22, the
/// highest that Kafka lets producers choose. The memory is touched only as far as data reaches.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// What LZ4 frames begin with; the legacy format, which Kafka does not know, begins otherwise.
const LZ4_MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// What `compressed` stands for, at most `decompressed_bytes_max` bytes.
///
/// # Errors
/// [`CodecError::Malformed`], [`CodecError::TooLarge`].
pub fn decompress(
    compression: Compression,
    compressed: &[u8],
    decompressed_bytes_max: usize,
) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    decompress_into(compression, compressed, decompressed_bytes_max, &mut out)?;
    Ok(out)
}

/// As [`decompress`], behind what `out` holds already. On an error, `out` may hold a part of it.
///
/// # Errors
/// As [`decompress`].
pub fn decompress_into(
    compression: Compression,
    compressed: &[u8],
    decompressed_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let mut sink = Capped::new(out, decompressed_bytes_max);
    let outcome = match compression {
        Compression::None => sink.write_all(compressed),
        // Some codecs would read no frame at all as no data.
        _ if compressed.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        Compression::Gzip => {
            io::copy(&mut flate2::bufread::MultiGzDecoder::new(compressed), &mut sink).map(drop)
        }
        Compression::Snappy => snappy::decompress(compressed, &mut sink),
        Compression::Lz4 => decompress_lz4(compressed, &mut sink),
        Compression::Zstd => decompress_zstd(compressed, &mut sink),
    };
    let compressed_bytes = compressed.len();
    if sink.is_exceeded() {
        return Err(CodecError::TooLarge { compression, compressed_bytes, decompressed_bytes_max });
    }
    outcome.map_err(|error| CodecError::Malformed {
        compression,
        compressed_bytes,
        why: error.to_string(),
    })
}

/// `bytes`, compressed as Kafka's clients do by default.
///
/// # Errors
/// [`CodecError::Compress`].
pub fn compress(compression: Compression, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    compress_into(compression, bytes, &mut out)?;
    Ok(out)
}

/// As [`compress`], behind what `out` holds already.
///
/// # Errors
/// As [`compress`].
pub fn compress_into(
    compression: Compression,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let outcome = match compression {
        Compression::None => out.write_all(bytes),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            encoder.write_all(bytes).and_then(|()| encoder.finish().map(drop))
        }
        Compression::Snappy => snappy::compress(bytes, out),
        Compression::Lz4 => compress_lz4(bytes, out),
        Compression::Zstd => compress_zstd(bytes, out),
    };
    outcome.map_err(|error| CodecError::Compress {
        compression,
        bytes: bytes.len(),
        why: error.to_string(),
    })
}

fn decompress_lz4(compressed: &[u8], sink: &mut Capped<'_>) -> io::Result<()> {
    let mut rest = compressed;
    io::copy(&mut lz4_flex::frame::FrameDecoder::new(&mut rest), sink)?;
    // The decoder takes the end of the bytes for the end of the frame, also between two blocks.
    let has_content_checksum = compressed.get(4).is_some_and(|flags| flags & 0x04 != 0);
    let tail_bytes = if has_content_checksum { 8 } else { 4 };
    let frame = &compressed[..compressed.len() - rest.len()];
    let end_mark = frame.len().checked_sub(tail_bytes).and_then(|at| frame[at..].first_chunk());
    if !frame.starts_with(&LZ4_MAGIC) || end_mark != Some(&[0; 4]) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if rest.is_empty() { Ok(()) } else { Err(io::Error::other("bytes follow the frame")) }
}

fn compress_lz4(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let frame = lz4_flex::frame::FrameInfo::new()
        .block_mode(lz4_flex::frame::BlockMode::Independent)
        .block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, out);
    encoder.write_all(bytes)?;
    encoder.finish().map(drop).map_err(io::Error::other)
}

fn decompress_zstd(compressed: &[u8], sink: &mut Capped<'_>) -> io::Result<()> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    io::copy(&mut decoder, sink).map(drop)
}

fn compress_zstd(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
    // Readers then know the size before they start, and small data takes a small window.
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}
