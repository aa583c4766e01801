//! A TCP proxy that behaves like a bad network, on order.
//!
//! It changes no byte. Brokers must therefore advertise the proxy's address instead of their own:
//! [`KafkaOptions::behind`](crate::kafka::KafkaOptions::behind) sees to that.
//!
//! A stalled direction is a half-open connection: what the sender writes is accepted and held (up
//! to [`HELD_BYTES_MAX`], then the sender's own buffer fills), nothing arrives, nobody is told.
//! When it is resumed, everything held arrives, late; unless the sender has reset its connection in
//! the meantime: then what was held is dropped, as the kernel of a sender that resets drops what it
//! had not got rid of, and the receiver sees the reset.

mod conditions;
mod relay;
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::ports::PortLease;
use conditions::{Conditions, Ledger};
pub use conditions::{Direction, Flow};
pub use relay::HELD_BYTES_MAX;

/// What went through a proxy so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyCounts {
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Bytes delivered to the server.
    pub to_server_bytes: u64,
    /// Bytes delivered to clients.
    pub to_client_bytes: u64,
    /// Bytes that clients have sent and the server has not got.
    pub held_to_server_bytes: u64,
    /// Bytes that the server has sent and clients have not got.
    pub held_to_client_bytes: u64,
}

/// A proxy; clones are the same one, and it ends with the last of them. It runs on a thread of its
/// own, so its methods may be called from anywhere and a busy test does not slow it down.
#[derive(Clone, Debug)]
pub struct FaultProxy {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    port: PortLease,
    conditions: watch::Sender<Conditions>,
    ledger: Arc<Ledger>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts one on a loopback port. It resets whoever connects until it is told where to
    /// [forward](Self::forward_to).
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub fn start() -> io::Result<FaultProxy> {
        let port = PortLease::take()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.port()));
        let (conditions, seen) = watch::channel(Conditions::default());
        let ledger = Arc::new(Ledger::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address))?;
        let server = server::Server::new(address, seen, Arc::clone(&ledger));
        let thread = std::thread::Builder::new()
            .name(format!("proxy-{}", port.port()))
            .spawn(move || runtime.block_on(server.run(listener)))?;
        let inner = Inner { port, conditions, ledger, thread: Some(thread) };
        Ok(FaultProxy { inner: Arc::new(inner) })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.inner.port.port()))
    }

    /// From now on new connections go to this server.
    pub fn forward_to(&self, server: SocketAddr) {
        self.change(|conditions| conditions.upstream = Some(server));
    }

    /// Back to a perfect network: nothing delayed, throttled, stalled or refused.
    pub fn pass(&self) {
        self.change(|conditions| {
            conditions.to_server = Flow::default();
            conditions.to_client = Flow::default();
            conditions.refuse = false;
        });
        self.inner.ledger.wait_for_listener(true);
    }

    /// Delays every byte by this much, in each direction.
    pub fn latency(&self, one_way: Duration) {
        self.change(|conditions| {
            conditions.to_server.latency = one_way;
            conditions.to_client.latency = one_way;
        });
    }

    /// Lets no more than this through per connection and direction; `None` for no limit.
    pub fn throttle(&self, bytes_per_second: Option<u64>) {
        self.change(|conditions| {
            conditions.to_server.bytes_per_second = bytes_per_second;
            conditions.to_client.bytes_per_second = bytes_per_second;
        });
    }

    /// Sets the state of one direction alone.
    pub fn set_flow(&self, direction: Direction, flow: Flow) {
        self.change(|conditions| *conditions.flow_mut(direction) = flow);
    }

    /// Stalls both directions.
    pub fn stall(&self) {
        self.stall_one_way(Direction::ToServer);
        self.stall_one_way(Direction::ToClient);
    }

    /// Stalls one direction: what goes the other way still arrives.
    pub fn stall_one_way(&self, direction: Direction) {
        self.change(|conditions| conditions.flow_mut(direction).stalled = true);
    }

    /// Ends every stall; what was held is delivered.
    pub fn resume(&self) {
        self.change(|conditions| {
            conditions.to_server.stalled = false;
            conditions.to_client.stalled = false;
        });
    }

    /// Resets every open connection, on both sides, and drops what is held; returns when it is
    /// done. New connections are served.
    pub fn cut(&self) {
        let mut cut = 0;
        self.change(|conditions| {
            conditions.cuts += 1;
            cut = conditions.cuts;
        });
        self.inner.ledger.wait_for_cut(cut);
    }

    /// Refuses new connections ("connection refused", nobody listens); open ones stay. Returns when
    /// it is so.
    pub fn refuse(&self) {
        self.change(|conditions| conditions.refuse = true);
        self.inner.ledger.wait_for_listener(false);
    }

    /// Takes new connections again.
    pub fn accept(&self) {
        self.change(|conditions| conditions.refuse = false);
        self.inner.ledger.wait_for_listener(true);
    }

    /// What went through so far.
    pub fn counts(&self) -> ProxyCounts {
        self.inner.ledger.counts()
    }

    fn change(&self, change: impl FnOnce(&mut Conditions)) {
        self.inner.conditions.send_modify(change);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.conditions.send_modify(|conditions| conditions.ended = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the proxy on port {} panicked", self.port.port());
        }
    }
}
