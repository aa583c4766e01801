//! One connection through the proxy: two pumps, one for each direction.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::conditions::{Conditions, Direction, Flow, Ledger};

/// How many bytes one direction of one connection holds back before it stops reading: more than
/// any client here has in flight.
pub const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

const READ_BYTES: usize = 64 * 1024;

/// A throttled connection gets its bytes in so many portions a second.
const PORTIONS_PER_SECOND: u64 = 50;

/// How often a pump that reads no more looks whether its sender has reset.
const FULL_POLL: Duration = Duration::from_millis(10);

/// The connection is over, and not in an orderly way.
struct Broken;

/// Which side has reset its connection. Shared by both pumps: the kernel tells of a reset once, to
/// whichever of them asks first, and calls it an orderly end afterwards.
#[derive(Clone, Copy, Debug, Default)]
struct Resets {
    client: bool,
    server: bool,
}

impl Resets {
    fn by_sender(self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.client,
            Direction::ToClient => self.server,
        }
    }

    fn note_sender(&mut self, direction: Direction) {
        match direction {
            Direction::ToServer => self.client = true,
            Direction::ToClient => self.server = true,
        }
    }
}

/// Relays until both sides have ended in an orderly way, or either has reset, or there was a cut;
/// the last two reset both sides.
pub(super) async fn run(
    client: TcpStream,
    server: TcpStream,
    conditions: watch::Receiver<Conditions>,
    cuts: u64,
    ledger: &Ledger,
) {
    // Losing it would only make the proxy slower.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (resets, _) = watch::channel(Resets::default());
    let pump = |direction, from, to| {
        let pump = Pump {
            direction,
            from,
            to,
            conditions: conditions.clone(),
            resets: &resets,
            ledger,
            held: VecDeque::new(),
            held_bytes: 0,
            ended: false,
            free_at: Instant::now(),
        };
        pump.run(cuts)
    };
    let both = async {
        tokio::try_join!(
            pump(Direction::ToServer, &client, &server),
            pump(Direction::ToClient, &server, &client),
        )
    };
    if both.await.is_err() {
        reset(client);
        reset(server);
    }
}

/// Closes so that the other side sees a reset.
pub(super) fn reset(stream: TcpStream) {
    // A socket that cannot be set up for it is broken already.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

struct Pump<'a> {
    direction: Direction,
    from: &'a TcpStream,
    to: &'a TcpStream,
    conditions: watch::Receiver<Conditions>,
    resets: &'a watch::Sender<Resets>,
    ledger: &'a Ledger,
    /// What was read and not delivered, each with the time it may arrive, latency included.
    held: VecDeque<(Instant, Bytes)>,
    held_bytes: usize,
    /// The sender has sent its last byte.
    ended: bool,
    /// When the throttle lets the next byte through.
    free_at: Instant,
}

impl Pump<'_> {
    async fn run(mut self, cuts: u64) -> Result<(), Broken> {
        let mut resets = self.resets.subscribe();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let now = *self.conditions.borrow_and_update();
            if now.cuts != cuts {
                return Err(Broken);
            }
            let flow = now.flow(self.direction);
            let seen = *resets.borrow_and_update();
            let reset_behind = seen.by_sender(self.direction);
            let reset_ahead = seen.by_sender(self.direction.opposite());
            let reset = reset_behind || reset_ahead;
            if reset {
                // A reset overtakes what is held, but does not get through a stall either.
                self.drop_held();
                let stalled_behind = now.flow(self.direction.opposite()).stalled;
                if reset_behind && !flow.stalled || reset_ahead && !stalled_behind {
                    return Err(Broken);
                }
            }
            if !flow.stalled && self.ended && self.held.is_empty() && !reset {
                // The receiver may be gone by now; nothing is left to tell it.
                let _ = SockRef::from(self.to).shutdown(Shutdown::Write);
                return Ok(());
            }
            let full = self.held_bytes >= HELD_BYTES_MAX;
            let due = self.due(flow);
            tokio::select! {
                // In this order: a stall must stop the very next write, and what is held goes out
                // before more is read.
                biased;
                changed = self.conditions.changed() => changed.map_err(|_| Broken)?,
                changed = resets.changed() => changed.map_err(|_| Broken)?,
                ready = writable(self.to, due), if due.is_some() => self.write(ready, flow),
                ready = self.from.readable(), if !self.ended && !full && !reset => {
                    self.read(ready, flow, &mut buffer);
                }
                () = tokio::time::sleep(FULL_POLL), if full && !reset => self.look_for_reset(),
            }
        }
    }

    /// When the first held byte may be delivered; `None` if there is none or the way is stalled.
    fn due(&self, flow: Flow) -> Option<Instant> {
        let (arrives_at, _) = self.held.front()?;
        (!flow.stalled).then_some((*arrives_at).max(self.free_at))
    }

    fn read(&mut self, ready: io::Result<()>, flow: Flow, buffer: &mut [u8]) {
        match ready.and_then(|()| self.from.try_read(buffer)) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                let arrives_at = Instant::now() + flow.latency;
                self.held.push_back((arrives_at, Bytes::copy_from_slice(&buffer[..count])));
                self.held_bytes += count;
                self.ledger.held(self.direction, count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.saw_reset(self.direction),
        }
    }

    /// The kernel notes a reset although we do not read.
    fn look_for_reset(&self) {
        if !matches!(SockRef::from(self.from).take_error(), Ok(None)) {
            self.saw_reset(self.direction);
        }
    }

    fn write(&mut self, ready: io::Result<()>, flow: Flow) {
        let Some((_, chunk)) = self.held.front_mut() else { return };
        let portion = match flow.bytes_per_second {
            Some(rate) => usize::try_from((rate / PORTIONS_PER_SECOND).max(1))
                .unwrap_or(usize::MAX)
                .min(chunk.len()),
            None => chunk.len(),
        };
        match ready.and_then(|()| self.to.try_write(&chunk[..portion])) {
            Ok(count) => {
                chunk.advance(count);
                if chunk.is_empty() {
                    self.held.pop_front();
                }
                self.held_bytes -= count;
                self.ledger.delivered(self.direction, count);
                if let Some(rate) = flow.bytes_per_second {
                    let cost = Duration::from_secs_f64(count as f64 / rate.max(1) as f64);
                    self.free_at = self.free_at.max(Instant::now()) + cost;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The receiver reset: that is a message from the other side.
            Err(_) => {
                self.drop_held();
                self.saw_reset(self.direction.opposite());
            }
        }
    }

    /// Notes that the sender of this direction has reset.
    fn saw_reset(&self, direction: Direction) {
        self.resets.send_modify(|resets| resets.note_sender(direction));
    }

    fn drop_held(&mut self) {
        self.held.clear();
        self.ledger.dropped(self.direction, self.held_bytes);
        self.held_bytes = 0;
    }
}

impl Drop for Pump<'_> {
    fn drop(&mut self) {
        self.drop_held();
    }
}

/// Waits until something is due and the receiver takes it. Without a due time it is not called.
async fn writable(to: &TcpStream, due: Option<Instant>) -> io::Result<()> {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
    to.writable().await
}
