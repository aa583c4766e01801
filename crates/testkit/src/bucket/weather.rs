//! What becomes of a request.

use std::time::Duration;

use crate::history::random::Random;

/// How many of a hundred requests meet which fate; the others are answered as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Refused with 503 Slow Down, and not done.
    pub slow_down: u64,
    /// Refused with 500 Internal Server Error; done all the same every other time.
    pub internal_error: u64,
    /// Done, but the connection is closed without an answer.
    pub lost_answer: u64,
    /// Not done, and the connection is closed.
    pub lost_request: u64,
    /// Done, or not every other time, and answered only after [`hang_for`](Self::hang_for), by
    /// closing the connection: a client that has a time-out meets it.
    pub hang: u64,
    /// See [`hang`](Self::hang).
    pub hang_for: Duration,
    /// Every request takes up to so long.
    pub delay_max: Duration,
    /// Nothing is answered: every connection is closed at its first request.
    pub is_gone: bool,
}

/// What has gone wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// 503 Slow Down.
    pub slow_down: u64,
    /// 500 Internal Server Error.
    pub internal_error: u64,
    /// Done without an answer.
    pub lost_answer: u64,
    /// Neither done nor answered.
    pub lost_request: u64,
    /// Not answered for long.
    pub hang: u64,
    /// While nothing was answered at all.
    pub gone: u64,
}

impl Faults {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { slow_down, internal_error, lost_answer, lost_request, hang, gone } = *self;
        slow_down + internal_error + lost_answer + lost_request + hang + gone
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Answered,
    Refused(&'static str),
    DoneAndRefused(&'static str),
    DoneAndLost,
    Lost,
}

impl Weather {
    /// Every kind of fault, at this share of all requests each, in percent; time-outs a tenth of
    /// it, because they cost time.
    pub fn bad(percent: u64) -> Weather {
        Weather {
            slow_down: percent,
            internal_error: percent,
            lost_answer: percent,
            lost_request: percent,
            hang: percent.div_ceil(10),
            hang_for: Duration::from_millis(1_500),
            delay_max: Duration::from_millis(5),
            is_gone: false,
        }
    }

    /// A bucket that nobody can reach.
    pub fn gone() -> Weather {
        Weather { is_gone: true, ..Weather::default() }
    }

    /// Decides what becomes of a request, and how long that takes.
    pub(super) fn decide(&self, random: &mut Random, faults: &mut Faults) -> (Fate, Duration) {
        let delay_us = u64::try_from(self.delay_max.as_micros()).unwrap_or(u64::MAX);
        let delay = Duration::from_micros(random.below(delay_us));
        if self.is_gone {
            faults.gone += 1;
            return (Fate::Lost, delay);
        }
        let mut left = random.below(100);
        let mut meets = |share: u64| {
            let met = left < share;
            left = left.saturating_sub(share);
            met
        };
        if meets(self.slow_down) {
            faults.slow_down += 1;
            (Fate::Refused("503 Slow Down"), delay)
        } else if meets(self.internal_error) {
            faults.internal_error += 1;
            let status = "500 Internal Server Error";
            let is_done = random.chance(1, 2);
            (if is_done { Fate::DoneAndRefused(status) } else { Fate::Refused(status) }, delay)
        } else if meets(self.lost_answer) {
            faults.lost_answer += 1;
            (Fate::DoneAndLost, delay)
        } else if meets(self.lost_request) {
            faults.lost_request += 1;
            (Fate::Lost, delay)
        } else if meets(self.hang) {
            faults.hang += 1;
            let is_done = random.chance(1, 2);
            (if is_done { Fate::DoneAndLost } else { Fate::Lost }, self.hang_for)
        } else {
            (Fate::Answered, delay)
        }
    }
}
