//! How far a bench is: steps done, and the time that is left.

use std::fmt;
use std::time::{Duration, Instant};

/// How often what is going on is told.
const TELL_INTERVAL: Duration = Duration::from_millis(250);

/// A guess is corrected by what the steps so far took once they were guessed to take so long.
const CORRECTED_FROM: Duration = Duration::from_secs(20);

/// Who is told how far a bench is.
pub trait Progress: Send {
    /// A line to keep: what was measured.
    fn line(&mut self, text: &str);

    /// What is going on now, several times a second; the next one replaces it.
    fn doing(&mut self, doing: &Doing<'_>);
}

/// What is going on.
#[derive(Clone, Copy, Debug)]
pub struct Doing<'a> {
    /// Which step it is, from 1.
    pub step: usize,
    /// How many there are.
    pub steps: usize,
    /// What is done in it.
    pub what: &'a str,
    /// How much of it is done, from 0 to 1, where that can be told.
    pub share: Option<f64>,
    /// How long the rest of the bench will take, by what was guessed and seen so far.
    pub left: Duration,
}

impl fmt::Display for Doing<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", number(self.step, self.steps), self.what)?;
        if let Some(share) = self.share {
            write!(out, " {:.0} %", share * 100.0)?;
        }
        write!(out, "  ({} left)", about(self.left))
    }
}

/// Follows the steps of a plan.
pub(crate) struct Pace {
    progress: Box<dyn Progress>,
    /// How long each step was guessed to take.
    guesses: Vec<Duration>,
    /// The current step, from 1; 0 before the first.
    step: usize,
    what: String,
    started: Instant,
    told: Option<Instant>,
}

impl fmt::Debug for Pace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pace").field("step", &self.step).field("what", &self.what).finish()
    }
}

impl Pace {
    pub(crate) fn new(progress: Box<dyn Progress>, guesses: Vec<Duration>) -> Pace {
        let started = Instant::now();
        Pace { progress, guesses, step: 0, what: String::new(), started, told: None }
    }

    /// The next step begins.
    pub(crate) fn begin(&mut self, what: String) {
        self.step += 1;
        self.what = what;
        self.told = None;
        self.part_done(None);
    }

    /// So much of the step is done.
    pub(crate) fn part_done(&mut self, share: Option<f64>) {
        if self.told.is_some_and(|told| told.elapsed() < TELL_INTERVAL) {
            return;
        }
        self.told = Some(Instant::now());
        let left = left(&self.guesses, self.step, self.started.elapsed());
        let (step, steps) = (self.step, self.guesses.len());
        self.progress.doing(&Doing { step, steps, what: &self.what, share, left });
    }

    /// What the step brought.
    pub(crate) fn line(&mut self, text: &str) {
        let number = number(self.step, self.guesses.len());
        self.progress.line(&format!("{number}{text}"));
    }
}

/// The time that the current step (from 1) and those behind it will take.
fn left(guesses: &[Duration], step: usize, elapsed: Duration) -> Duration {
    let done: Duration = guesses.iter().take(step.saturating_sub(1)).sum();
    let rest: Duration = guesses.iter().skip(step.saturating_sub(1)).sum();
    if done < CORRECTED_FROM { rest } else { rest.mul_f64(elapsed.div_duration_f64(done)) }
}

fn number(step: usize, steps: usize) -> String {
    let width = steps.to_string().len();
    format!("[{step:width$}/{steps}] ")
}

/// A duration as a person guesses: `about 6 min`.
pub(crate) fn about(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..90 => format!("about {seconds} s"),
        seconds => format!("about {} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_what_was_seen() {
        let guesses = [Duration::from_secs(30), Duration::from_secs(10), Duration::from_secs(20)];
        let seconds = |step, elapsed| left(&guesses, step, Duration::from_secs(elapsed)).as_secs();
        assert_eq!(seconds(1, 5), 60);
        // Twice as slow as guessed.
        assert_eq!(seconds(2, 60), 60);
        assert_eq!(seconds(3, 40), 20);
        assert_eq!(seconds(4, 60), 0);
    }

    #[test]
    fn a_line_tells_step_share_and_time() {
        let left = Duration::from_secs(200);
        let doing =
            Doing { step: 3, steps: 41, what: "127kb: Farlog run 1", share: Some(0.426), left };
        assert_eq!(doing.to_string(), "[ 3/41] 127kb: Farlog run 1 43 %  (about 4 min left)");
    }
}
