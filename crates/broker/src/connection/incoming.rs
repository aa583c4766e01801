//! Requests as they come in: a size, a place in memory, a frame. Each step may be interrupted and
//! taken up again.

use std::io;

use bytes::{Bytes, BytesMut};
use farlog_wire::frame::{SIZE_BYTES, size_of_frame};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until};

use super::Ended;
use crate::limits::{
    FRAME_PROGRESS_BYTES_MIN, FRAME_PROGRESS_INTERVAL, KEPT_FRAME_BYTES_MAX, WRITE_BUFFER_BYTES,
};
use crate::request_memory::{RequestMemory, RequestPlace};

/// What a client sends.
pub(super) struct Incoming<R> {
    input: R,
    /// The size of the next frame, as much of it as was read.
    prefix: [u8; SIZE_BYTES],
    prefix_bytes: usize,
    stage: Stage,
    /// For frames: used again when nothing refers to the one before any more.
    frames: BytesMut,
}

/// How far the next request is.
enum Stage {
    Size,
    /// For a place for so many bytes.
    Waiting(usize, BoxFuture<'static, RequestPlace>),
    Frame(Arriving),
}

/// A frame of which some is here.
struct Arriving {
    size: usize,
    place: RequestPlace,
    /// When it is looked whether it goes on, and what was here when that was done last.
    look_at: Instant,
    seen_bytes: usize,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(input: R) -> Self {
        let (prefix, frames) = ([0; SIZE_BYTES], BytesMut::new());
        Self { input, prefix, prefix_bytes: 0, stage: Stage::Size, frames }
    }

    /// Whether nothing was done yet for the next request: it can be left where it is.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Size)
    }

    /// Leaves the next request, and its place to others.
    pub(super) fn give_up(&mut self) {
        self.stage = Stage::Size;
        self.frames = BytesMut::new();
    }

    /// Reads what is missing of the next frame's size; false if the client has left.
    pub(super) async fn read_size(&mut self) -> io::Result<bool> {
        while !self.has_size() {
            match self.input.read(&mut self.prefix[self.prefix_bytes..]).await? {
                0 => return Ok(false),
                read => self.prefix_bytes += read,
            }
        }
        Ok(true)
    }

    /// Whether nothing of the next frame's size is missing.
    pub(super) fn has_size(&self) -> bool {
        self.prefix_bytes == SIZE_BYTES
    }

    /// The next frame, with its place; `None` if the client has left.
    ///
    /// # Errors
    /// If the frame is too large, ends early, or stands still while others wait for its place.
    pub(super) async fn next(
        &mut self,
        memory: &RequestMemory,
        frame_bytes_max: usize,
    ) -> Result<Option<(Bytes, RequestPlace)>, Ended> {
        loop {
            match &mut self.stage {
                Stage::Size => {
                    if !self.read_size().await? {
                        return Ok(None);
                    }
                    let size = size_of_frame(self.prefix, frame_bytes_max)?;
                    self.prefix_bytes = 0;
                    self.stage = Stage::Waiting(size, memory.place(size));
                }
                Stage::Waiting(size, place) => {
                    let place = place.await;
                    let look_at = Instant::now() + FRAME_PROGRESS_INTERVAL;
                    let arriving = Arriving { size: *size, place, look_at, seen_bytes: 0 };
                    self.stage = Stage::Frame(arriving);
                }
                Stage::Frame(arriving) => {
                    read_frame(&mut self.input, &mut self.frames, arriving, memory).await?;
                    let Stage::Frame(arrived) = std::mem::replace(&mut self.stage, Stage::Size)
                    else {
                        continue;
                    };
                    let frame = match arrived.size > KEPT_FRAME_BYTES_MAX {
                        true => std::mem::take(&mut self.frames).freeze(),
                        false => self.frames.split().freeze(),
                    };
                    return Ok(Some((frame, arrived.place)));
                }
            }
        }
    }
}

/// Reads what is missing of a frame.
async fn read_frame(
    input: &mut (impl AsyncRead + Unpin),
    frame: &mut BytesMut,
    arriving: &mut Arriving,
    memory: &RequestMemory,
) -> Result<(), Ended> {
    while frame.len() < arriving.size {
        // Grows with what arrives, not with what is announced.
        let missing = arriving.size - frame.len();
        frame.reserve(missing.min(WRITE_BUFFER_BYTES.max(frame.len())));
        let mut input = (&mut *input).take(missing as u64);
        tokio::select! {
            biased;
            read = input.read_buf(frame) => {
                if read? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            }
            () = sleep_until(arriving.look_at) => {
                let came_bytes = frame.len() - arriving.seen_bytes;
                if came_bytes < FRAME_PROGRESS_BYTES_MIN && memory.is_wanted() {
                    return Err(Ended::Stalled);
                }
                arriving.seen_bytes = frame.len();
                arriving.look_at = Instant::now() + FRAME_PROGRESS_INTERVAL;
            }
        }
    }
    Ok(())
}
