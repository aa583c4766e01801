//! Until when an assignment is certainly ours.
//!
//! A coordinator takes an assignment away in two ways: it hears nothing from the member for a
//! session timeout, or it runs a rebalance that the member does not join in time. The session is
//! restarted no earlier than a heartbeat is *sent*; a rebalance that we have not heard of began no
//! earlier than the last heartbeat that was answered without one was sent, and leaves everybody
//! the rebalance timeout to join. The lease ends at whichever comes first.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A view of a member's lease; cheap to clone.
#[derive(Clone, Debug)]
pub struct Lease {
    state: watch::Receiver<State>,
}

/// The member's side: begins and ends terms.
#[derive(Debug)]
pub(super) struct LeaseSource {
    session_timeout: Duration,
    rebalance_timeout: Duration,
    state: Arc<watch::Sender<State>>,
}

/// The right to extend the lease of one generation. It is worth nothing once the lease was given
/// up, so a heartbeat that is answered late cannot bring it back.
#[derive(Debug)]
pub(super) struct LeaseTerm {
    number: u64,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Default)]
struct State {
    term: u64,
    /// When the last heartbeat was sent that was answered with "all is well".
    stable_at: Option<Instant>,
    valid_until: Option<Instant>,
}

// === impl LeaseSource ===

impl LeaseSource {
    pub(super) fn new(session_timeout: Duration, rebalance_timeout: Duration) -> LeaseSource {
        let state = Arc::new(watch::Sender::new(State::default()));
        LeaseSource { session_timeout, rebalance_timeout, state }
    }

    pub(super) fn reader(&self) -> Lease {
        Lease { state: self.state.subscribe() }
    }

    /// Ends the lease, and the term of whoever could extend it.
    pub(super) fn give_up(&self) {
        self.state.send_modify(|state| *state = State { term: state.term + 1, ..State::default() });
    }

    pub(super) fn begin(&self) -> LeaseTerm {
        self.give_up();
        LeaseTerm {
            number: self.state.borrow().term,
            session_timeout: self.session_timeout,
            rebalance_timeout: self.rebalance_timeout,
            state: self.state.clone(),
        }
    }
}

// === impl LeaseTerm ===

impl LeaseTerm {
    /// A request sent at `sent_at` was answered by a coordinator that counts us in; `stable` when
    /// no rebalance was under way.
    pub(super) fn answered(&self, sent_at: Instant, stable: bool) {
        self.edit(|state| {
            if stable {
                state.stable_at = Some(sent_at);
            }
            let session = sent_at + self.session_timeout;
            let rebalance = state.stable_at.map(|at| at + self.rebalance_timeout);
            state.valid_until = rebalance.map(|rebalance| session.min(rebalance));
        });
    }

    pub(super) fn give_up(&self) {
        self.edit(|state| state.valid_until = None);
    }

    pub(super) fn valid_until(&self) -> Option<Instant> {
        self.state.borrow().valid_until
    }

    fn edit(&self, edit: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let is_current = state.term == self.number;
            if is_current {
                edit(state);
            }
            is_current
        });
    }
}

// === impl Lease ===

impl Lease {
    /// The instant (of tokio's clock) until which the assignment is certainly ours; `None` without
    /// an assignment.
    pub fn valid_until(&self) -> Option<Instant> {
        self.state.borrow().valid_until
    }

    /// Whether it is ours now.
    pub fn is_valid(&self) -> bool {
        self.valid_until().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until the lease has run out or was given up. Cancel-safe.
    pub async fn ended(&mut self) {
        loop {
            let until = self.state.borrow_and_update().valid_until;
            let Some(until) = until else { return };
            tokio::select! {
                () = sleep_until(until) => return,
                changed = self.state.changed() => {
                    // The member is gone, and with it everybody who could extend the lease.
                    if changed.is_err() {
                        sleep_until(until).await;
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_session_or_with_a_rebalance() {
        let source = LeaseSource::new(seconds(10), seconds(15));
        let lease = source.reader();
        assert!(!lease.is_valid());
        let term = source.begin();
        let start = Instant::now();
        term.answered(start, true);
        assert_eq!(lease.valid_until(), Some(start + seconds(10)));
        term.answered(start + seconds(3), true);
        assert_eq!(lease.valid_until(), Some(start + seconds(13)));
        // A rebalance began after second 3: by second 18 others may own our work.
        term.answered(start + seconds(9), false);
        assert_eq!(lease.valid_until(), Some(start + seconds(18)));
        assert!(lease.is_valid());
        source.give_up();
        assert!(!lease.is_valid());
        // A heartbeat of the old generation, answered late.
        term.answered(start + seconds(20), true);
        assert_eq!(lease.valid_until(), None);
        // Nothing is ours before the group has settled again.
        source.begin().answered(start + seconds(20), false);
        assert_eq!(lease.valid_until(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn its_end_can_be_waited_for() {
        let source = LeaseSource::new(seconds(10), seconds(60));
        let term = source.begin();
        let start = Instant::now();
        term.answered(start, true);
        let mut lease = source.reader();
        let waiting = tokio::spawn(async move { lease.ended().await });
        tokio::time::sleep(seconds(5)).await;
        term.answered(Instant::now(), true);
        waiting.await.unwrap();
        assert_eq!(start.elapsed(), seconds(15));
        term.answered(Instant::now(), true);
        let mut lease = source.reader();
        let waiting = tokio::spawn(async move { lease.ended().await });
        tokio::time::sleep(seconds(1)).await;
        source.give_up();
        waiting.await.unwrap();
        assert_eq!(start.elapsed(), seconds(16));
    }
}
