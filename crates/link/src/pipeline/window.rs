//! How many batches of one partition may be under way at once.
//!
//! The broker checks the sequence of a producer id only while it remembers the id, which it does
//! until the newest *record timestamp* that the id wrote is older than
//! `producer.id.expiration.ms`. Behind a batch with old timestamps the id may be forgotten at any
//! moment, and then a rejected batch does not stop those behind it. So batches are pipelined only
//! while every one that is not yet acknowledged keeps the id remembered, and the first batch after
//! any doubt goes alone (KIP-360, KAFKA-15583 and hazards 1 and 2 of the design's reference).

use std::collections::VecDeque;

/// Which record timestamps keep a producer id remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// `producer.id.expiration.ms` of the target, less a margin for clocks that differ.
    pub remembered_ms: i64,
}

impl Freshness {
    /// The margin is 15 minutes, or a quarter of a shorter expiration.
    pub fn from_expiration_ms(expiration_ms: i64) -> Self {
        const MARGIN_MS: i64 = 15 * 60 * 1000;
        Self { remembered_ms: expiration_ms - MARGIN_MS.min(expiration_ms / 4) }
    }

    /// Whether an id whose newest timestamp is `max_timestamp_ms` is certainly remembered.
    pub fn is_fresh(self, max_timestamp_ms: i64, now_ms: i64) -> bool {
        max_timestamp_ms >= 0 && now_ms.saturating_sub(max_timestamp_ms) < self.remembered_ms
    }
}

/// The batches of one partition that were sent and not yet acknowledged.
#[derive(Debug)]
pub struct Window {
    freshness: Freshness,
    in_flight_max: usize,
    /// Largest record timestamp of each batch under way, oldest first.
    in_flight: VecDeque<i64>,
    /// Largest record timestamp of the last acknowledged batch; before the first one, of what the
    /// target remembered when the position was read.
    remembered: Option<i64>,
    /// Whether a batch was acknowledged since the last doubt.
    settled: bool,
}

impl Window {
    /// An empty window after a doubt: the first batch will go alone. `remembered` is the newest
    /// timestamp of our producer id that the target knows, if it knows the id.
    pub fn new(freshness: Freshness, in_flight_max: usize, remembered: Option<i64>) -> Self {
        let in_flight = VecDeque::new();
        Self { freshness, in_flight_max, in_flight, remembered, settled: false }
    }

    /// Whether another batch may be sent now.
    pub fn has_room(&self, now_ms: i64) -> bool {
        self.in_flight.is_empty()
            || (self.settled && self.in_flight.len() < self.in_flight_max && self.is_armed(now_ms))
    }

    /// Whether the target certainly remembers our id, whatever of this window has arrived.
    pub fn is_armed(&self, now_ms: i64) -> bool {
        let fresh = |timestamp: &i64| self.freshness.is_fresh(*timestamp, now_ms);
        self.remembered.as_ref().is_some_and(fresh) && self.in_flight.iter().all(fresh)
    }

    /// A batch was sent.
    pub fn sent(&mut self, max_timestamp_ms: i64) {
        self.in_flight.push_back(max_timestamp_ms);
    }

    /// The oldest batch was acknowledged.
    pub fn acknowledged(&mut self) {
        if let Some(max_timestamp_ms) = self.in_flight.pop_front() {
            self.remembered = Some(max_timestamp_ms);
            self.settled = true;
        }
    }

    /// Number of batches under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sets the bound on batches under way, as the measured round trip suggests.
    pub fn set_in_flight_max(&mut self, in_flight_max: usize) {
        self.in_flight_max = in_flight_max;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const DAY: i64 = 24 * 3600 * 1000;

    fn window() -> Window {
        Window::new(Freshness::from_expiration_ms(DAY), 5, Some(NOW))
    }

    #[test]
    fn the_first_batch_goes_alone() {
        let mut window = window();
        assert!(window.has_room(NOW));
        window.sent(NOW);
        assert!(!window.has_room(NOW), "the id is not known to be remembered");
        window.acknowledged();
        assert!(window.has_room(NOW));
    }

    #[test]
    fn fresh_batches_are_pipelined_up_to_the_bound() {
        let mut window = window();
        window.sent(NOW);
        window.acknowledged();
        for _ in 0..5 {
            assert!(window.has_room(NOW));
            window.sent(NOW);
        }
        assert!(!window.has_room(NOW));
        window.acknowledged();
        assert!(window.has_room(NOW));
    }

    #[test]
    fn nothing_is_sent_behind_an_old_batch() {
        let mut window = window();
        window.sent(NOW);
        window.acknowledged();
        window.sent(NOW - 2 * DAY);
        assert!(!window.has_room(NOW));
        window.acknowledged();
        assert!(window.has_room(NOW), "one at a time");
        window.sent(NOW);
        assert!(!window.has_room(NOW), "the last acknowledged batch lets the id be forgotten");
        window.acknowledged();
        assert!(window.is_armed(NOW));
    }

    #[test]
    fn an_armed_window_disarms_as_time_passes() {
        let mut window = window();
        window.sent(NOW);
        window.acknowledged();
        assert!(window.is_armed(NOW + DAY - 16 * 60 * 1000));
        assert!(!window.is_armed(NOW + DAY - 14 * 60 * 1000));
    }

    #[test]
    fn records_without_timestamp_do_not_arm() {
        let freshness = Freshness::from_expiration_ms(DAY);
        assert!(!freshness.is_fresh(-1, NOW));
        assert!(freshness.is_fresh(NOW + 3 * DAY, NOW), "the future keeps an id");
        assert_eq!(Freshness::from_expiration_ms(2000).remembered_ms, 1500);
    }
}
