//! Kafka's response frames from a byte stream: a 4-byte size, then that many bytes.
//!
//! Small frames are cut out of a read-ahead buffer, many per read. A large one is read straight
//! into a pooled buffer and handed over without another copy.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::buffer_pool::{BufferPool, PooledBuffer};
use crate::error::ConnectionFailure;
use crate::limits::READ_AHEAD_BYTES;

const SIZE_BYTES: usize = 4;

/// Smallest frame that can be a response: its correlation id.
const FRAME_BYTES_MIN: usize = 4;

/// Reads frames one after the other.
#[derive(Debug)]
pub(crate) struct FrameReader {
    pool: BufferPool,
    frame_bytes_max: usize,
    ahead: BytesMut,
    large: Option<Large>,
}

/// A frame under way in its own buffer.
#[derive(Debug)]
struct Large {
    buffer: PooledBuffer,
    frame_bytes: usize,
}

// === impl FrameReader ===

impl FrameReader {
    pub(crate) fn new(pool: BufferPool, frame_bytes_max: usize) -> FrameReader {
        FrameReader { pool, frame_bytes_max, ahead: BytesMut::new(), large: None }
    }

    /// Raises the limit once the peer is trusted more.
    pub(crate) fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// The next frame, without its size.
    pub(crate) fn poll_frame<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<Bytes, ConnectionFailure>> {
        loop {
            if let Some(large) = &mut self.large {
                ready!(large.poll_fill(stream, context))?;
                if let Some(large) = self.large.take() {
                    return Poll::Ready(Ok(large.buffer.freeze()));
                }
            }
            if let Some(frame) = self.cut()? {
                return Poll::Ready(Ok(frame));
            }
            if self.large.is_some() {
                continue;
            }
            let empty = self.ahead.is_empty();
            self.ahead.reserve(READ_AHEAD_BYTES);
            let read = pin!(stream.read_buf(&mut self.ahead));
            match ready!(Future::poll(read, context)).map_err(ConnectionFailure::Io)? {
                0 if empty => {
                    let while_authenticating = false;
                    let closed = ConnectionFailure::ClosedByBroker { while_authenticating };
                    return Poll::Ready(Err(closed));
                }
                0 => return Poll::Ready(Err(ConnectionFailure::Truncated)),
                _ => {}
            }
        }
    }

    /// Takes a whole frame from the read-ahead buffer, or starts a large one.
    fn cut(&mut self) -> Result<Option<Bytes>, ConnectionFailure> {
        let Some(size) = self.ahead.first_chunk::<SIZE_BYTES>() else { return Ok(None) };
        let declared = i64::from(i32::from_be_bytes(*size));
        let frame_bytes = match usize::try_from(declared) {
            Ok(bytes) if bytes < FRAME_BYTES_MIN => {
                return Err(ConnectionFailure::FrameTooSmall { declared });
            }
            Ok(bytes) if bytes <= self.frame_bytes_max => bytes,
            // A TLS alert, read as a size.
            Ok(_) if size.starts_with(&[0x15, 0x03]) => {
                return Err(ConnectionFailure::PeerSpeaksTls);
            }
            Ok(_) => {
                return Err(ConnectionFailure::FrameTooLarge {
                    declared,
                    max: self.frame_bytes_max,
                });
            }
            Err(_) => return Err(ConnectionFailure::FrameTooSmall { declared }),
        };
        if self.ahead.len() >= SIZE_BYTES + frame_bytes {
            self.ahead.advance(SIZE_BYTES);
            // Copied, so that a slice of it that lives long does not pin the read-ahead buffer.
            let frame = Bytes::copy_from_slice(&self.ahead[..frame_bytes]);
            self.ahead.advance(frame_bytes);
            return Ok(Some(frame));
        }
        if SIZE_BYTES + frame_bytes > READ_AHEAD_BYTES {
            self.ahead.advance(SIZE_BYTES);
            let mut buffer = self.pool.take(frame_bytes);
            buffer.bytes_mut().extend_from_slice(&self.ahead);
            self.ahead.clear();
            self.large = Some(Large { buffer, frame_bytes });
        }
        Ok(None)
    }
}

// === impl Large ===

impl Large {
    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionFailure>> {
        while self.buffer.len() < self.frame_bytes {
            let missing = self.frame_bytes - self.buffer.len();
            let mut room = self.buffer.bytes_mut().limit(missing);
            let read = pin!(stream.read_buf(&mut room));
            if ready!(Future::poll(read, context)).map_err(ConnectionFailure::Io)? == 0 {
                return Poll::Ready(Err(ConnectionFailure::Truncated));
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn next(reader: &mut FrameReader, bytes: &mut &[u8]) -> Result<Bytes, ConnectionFailure> {
        poll_fn(|context| reader.poll_frame(bytes, context)).await
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        frame
    }

    fn reader(frame_bytes_max: usize) -> FrameReader {
        FrameReader::new(BufferPool::new(1 << 20), frame_bytes_max)
    }

    #[tokio::test]
    async fn small_and_large_frames_follow_each_other() {
        let bodies: Vec<Vec<u8>> =
            [4, 100, 16_380, 16_381, 40_000, 5, 1_000_000, 6].map(|size| vec![9; size]).to_vec();
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for piece in [1, 3, 4_096, 16_384, 100_000, stream.len()] {
            let (mut near, mut far) = tokio::io::duplex(piece);
            let stream = stream.clone();
            let writer = tokio::spawn(async move { near.write_all(&stream).await });
            let mut reader = reader(1 << 20);
            for body in &bodies {
                let frame = poll_fn(|context| reader.poll_frame(&mut far, context)).await.unwrap();
                assert_eq!(frame.len(), body.len());
                assert!(frame.iter().all(|byte| *byte == 9));
            }
            writer.await.unwrap().unwrap();
            let end = poll_fn(|context| reader.poll_frame(&mut far, context)).await;
            assert!(matches!(end, Err(ConnectionFailure::ClosedByBroker { .. })));
        }
    }

    #[tokio::test]
    async fn hostile_sizes_are_refused_before_any_allocation() {
        for (size, large) in [(i32::MAX, true), (1_001, true), (-1, false), (0, false), (3, false)]
        {
            let bytes = size.to_be_bytes();
            let error = next(&mut reader(1_000), &mut &bytes[..]).await.unwrap_err();
            assert_eq!(matches!(error, ConnectionFailure::FrameTooLarge { .. }), large, "{error}");
            assert_eq!(matches!(error, ConnectionFailure::FrameTooSmall { .. }), !large, "{error}");
        }
    }

    #[tokio::test]
    async fn a_cut_frame_is_no_frame() {
        for (size, sent) in [(100, 50), (100_000, 50), (100_000, 50_000), (100, 0)] {
            let mut bytes = frame(&vec![1; size]);
            bytes.truncate(4 + sent);
            let error = next(&mut reader(1 << 20), &mut &bytes[..]).await.unwrap_err();
            assert!(matches!(error, ConnectionFailure::Truncated), "{error}");
        }
        let error = next(&mut reader(1_000), &mut &[][..]).await.unwrap_err();
        assert!(matches!(error, ConnectionFailure::ClosedByBroker { .. }));
    }
}
