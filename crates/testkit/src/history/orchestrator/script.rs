//! What happens, in which order and after which pauses: a function of the seed.

use std::time::Duration;

use crate::history::random::Random;

/// Instances that a history has at most.
pub const SLOTS: usize = 2;

/// Which side of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where records are read.
    Source,
    /// Where they are written.
    Target,
}

/// Which way nothing goes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Requests.
    Out,
    /// Answers: what was written is not known to be.
    Back,
    /// Neither.
    Both,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// SIGKILL, and a new start after this pause.
    Kill {
        /// Whom; the other one if it does not run.
        slot: usize,
        /// Until the new start.
        pause: Duration,
    },
    /// SIGSTOP, and SIGCONT after this many tenths of a session timeout.
    Zombie {
        /// Whom.
        slot: usize,
        /// More than 10: the others have taken over.
        session_tenths: u32,
    },
    /// Every connection is reset.
    Cut(Side),
    /// Nothing arrives for a while; then everything does, or the connections are reset.
    Stall {
        /// Whose connections.
        side: Side,
        /// Which way.
        way: Way,
        /// How long.
        lasts: Duration,
        /// How it ends.
        cut: bool,
    },
    /// The second instance is started, or stopped in an orderly way.
    Second {
        /// Whether it runs from now on.
        runs: bool,
    },
    /// A broker stands still (SIGSTOP), and then goes on with what it had taken in.
    PauseBroker {
        /// Whose.
        side: Side,
        /// How long.
        lasts: Duration,
    },
    /// Old records of the trimmed topics are deleted at the source.
    Trim,
    /// A broker is restarted.
    Broker {
        /// Whose.
        side: Side,
        /// With SIGKILL; at the source it loses the tail of a log that has not lost one yet.
        kill: bool,
    },
}

/// The events of one history; endless.
#[derive(Clone, Debug)]
pub struct Script {
    random: Random,
    events: u32,
    restarts: u32,
    /// Events between two broker restarts.
    restart_every: u32,
    restarts_max: u32,
    second: bool,
}

impl Script {
    /// The script of a seed for about this many kills.
    pub fn new(seed: u64, kills: u32, restarts_max: u32) -> Script {
        Script {
            random: Random::named(seed, "script"),
            events: 0,
            restarts: 0,
            // About seven of ten events are kills; the last restart is well before the end.
            restart_every: (kills * 10 / 7 / (restarts_max + 1)).max(1),
            restarts_max,
            second: false,
        }
    }

    /// The next event, and the pause before it.
    pub fn next_event(&mut self) -> (Duration, Event) {
        self.events += 1;
        // Now and then there is time to get something done in peace.
        let pause_ms = match self.random.below(12) {
            0 => self.random.between(1_500, 3_000),
            1..5 => self.random.between(50, 500),
            _ => self.random.between(50, 1_500),
        };
        (Duration::from_millis(pause_ms), self.event())
    }

    fn event(&mut self) -> Event {
        if self.restarts < self.restarts_max && self.events.is_multiple_of(self.restart_every) {
            self.restarts += 1;
            let side = if self.restarts.is_multiple_of(2) { Side::Source } else { Side::Target };
            // Kill, kill, stop, stop: both sides see both.
            let kill = (self.restarts - 1) % 4 < 2;
            return Event::Broker { side, kill };
        }
        if self.events.is_multiple_of(20) {
            self.second = !self.second;
            return Event::Second { runs: self.second };
        }
        let slot = self.random.index(SLOTS);
        match self.random.below(100) {
            0..70 => {
                let pause = Duration::from_millis(self.random.below(400));
                Event::Kill { slot, pause }
            }
            70..77 => Event::Zombie { slot, session_tenths: self.random.between(12, 25) as u32 },
            77..82 => Event::Cut(Side::Source),
            82..88 => Event::Cut(Side::Target),
            88..91 => Event::PauseBroker {
                side: if self.random.chance(2, 3) { Side::Target } else { Side::Source },
                lasts: Duration::from_millis(self.random.between(200, 2_500)),
            },
            91..98 => Event::Stall {
                side: if self.random.chance(2, 3) { Side::Target } else { Side::Source },
                way: *self.random.pick(&[Way::Out, Way::Back, Way::Both]),
                lasts: Duration::from_millis(self.random.between(100, 2_500)),
                cut: self.random.chance(1, 2),
            },
            _ => Event::Trim,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_events(seed: u64) -> Vec<(Duration, Event)> {
        let mut script = Script::new(seed, 200, 6);
        (0..300).map(|_| script.next_event()).collect()
    }

    #[test]
    fn a_seed_decides_the_script() {
        assert_eq!(first_events(5), first_events(5));
        assert_ne!(first_events(5), first_events(6));
    }

    #[test]
    fn a_history_of_two_hundred_kills_has_everything() {
        for seed in 0..20 {
            let events = first_events(seed);
            let count = |is: fn(&Event) -> bool| events.iter().filter(|(_, one)| is(one)).count();
            assert!(count(|one| matches!(one, Event::Kill { .. })) > 150, "{seed}");
            assert!(count(|one| matches!(one, Event::Zombie { .. })) > 5, "{seed}");
            assert!(count(|one| matches!(one, Event::Stall { .. })) > 5, "{seed}");
            assert!(count(|one| matches!(one, Event::Cut(_))) > 5, "{seed}");
            assert!(count(|one| matches!(one, Event::PauseBroker { .. })) > 1, "{seed}");
            assert_eq!(count(|one| matches!(one, Event::Broker { .. })), 6, "{seed}");
            let truncations =
                |one: &Event| matches!(one, Event::Broker { side: Side::Source, kill: true });
            assert_eq!(count(truncations), 2, "{seed}");
            let pauses: Duration = events[..280].iter().map(|(pause, _)| *pause).sum();
            assert!(pauses < Duration::from_secs(300), "{seed}: {pauses:?}");
        }
    }
}
