//! How the network is now, and what went through it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ProxyCounts;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Responses.
    ToClient,
}

/// The state of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// How long each byte is under way.
    pub latency: Duration,
    /// How many bytes a second each connection carries at most.
    pub bytes_per_second: Option<u64>,
    /// Whether everything is accepted and nothing arrives.
    pub stalled: bool,
}

/// What the owner of a proxy wants.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions {
    pub(super) upstream: Option<SocketAddr>,
    pub(super) to_server: Flow,
    pub(super) to_client: Flow,
    /// Whether nobody is to listen.
    pub(super) refuse: bool,
    /// How often everything was cut: a connection from before the last cut must go.
    pub(super) cuts: u64,
    pub(super) ended: bool,
}

impl Conditions {
    pub(super) fn flow(&self, direction: Direction) -> Flow {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }

    pub(super) fn flow_mut(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

impl Direction {
    pub(super) fn opposite(self) -> Direction {
        match self {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }
}

/// What the proxy has done, for its owner to see and wait for.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    counts: ProxyCounts,
    /// The open connections, by the number of cuts they have seen.
    open: BTreeMap<u64, u64>,
    not_listening: bool,
}

impl Ledger {
    pub(super) fn counts(&self) -> ProxyCounts {
        self.lock().counts
    }

    pub(super) fn opened(&self, cuts: u64) {
        let mut state = self.lock();
        state.counts.accepted += 1;
        state.counts.open += 1;
        *state.open.entry(cuts).or_default() += 1;
    }

    pub(super) fn closed(&self, cuts: u64) {
        let mut state = self.lock();
        state.counts.open -= 1;
        if let Some(count) = state.open.get_mut(&cuts) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&cuts);
            }
        }
        self.changed.notify_all();
    }

    pub(super) fn listening(&self, listening: bool) {
        self.lock().not_listening = !listening;
        self.changed.notify_all();
    }

    pub(super) fn held(&self, direction: Direction, bytes: usize) {
        *held(&mut self.lock().counts, direction) += bytes as u64;
    }

    pub(super) fn delivered(&self, direction: Direction, bytes: usize) {
        let mut state = self.lock();
        *held(&mut state.counts, direction) -= bytes as u64;
        match direction {
            Direction::ToServer => state.counts.to_server_bytes += bytes as u64,
            Direction::ToClient => state.counts.to_client_bytes += bytes as u64,
        }
    }

    pub(super) fn dropped(&self, direction: Direction, bytes: usize) {
        *held(&mut self.lock().counts, direction) -= bytes as u64;
    }

    /// Waits until no connection from before this cut is open.
    pub(super) fn wait_for_cut(&self, cut: u64) {
        self.wait(|state| state.open.first_key_value().is_none_or(|(&cuts, _)| cuts >= cut));
    }

    pub(super) fn wait_for_listener(&self, listening: bool) {
        self.wait(|state| state.not_listening != listening);
    }

    fn wait(&self, condition: impl Fn(&State) -> bool) {
        let waited = self.changed.wait_while(self.lock(), |state| !condition(state));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters are whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held(counts: &mut ProxyCounts, direction: Direction) -> &mut u64 {
    match direction {
        Direction::ToServer => &mut counts.held_to_server_bytes,
        Direction::ToClient => &mut counts.held_to_client_bytes,
    }
}
