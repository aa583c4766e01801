//! What is done while the log cannot be written for a while: a full disk, a bucket in bad weather.

use std::time::{Duration, Instant};

use super::disk::WriteError;
use crate::error::StoreError;
use crate::limits::OBJECT_PAUSE_MIN;
use crate::objects::longer;
use crate::queue::Shared;

/// How something is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long it may fail before further changes are refused meanwhile.
    pub(crate) quiet: Duration,
    pub(crate) attempts_max: usize,
}

/// Tries to write until it works, is known to be of no use, or has been tried often enough. While
/// it lasts, what was taken waits, and after some time nothing more is taken.
pub(crate) fn patiently<T>(
    shared: &Shared,
    patience: Patience,
    what: &str,
    mut attempt: impl FnMut() -> Result<T, WriteError>,
) -> Result<T, StoreError> {
    let mut pause = OBJECT_PAUSE_MIN;
    let mut failing_since = None;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let what = what.to_owned();
        let why = match attempt() {
            Ok(done) => {
                if failing_since.is_some() {
                    tracing::info!(attempts, "{what}: done at last");
                    shared.unavailable(None);
                }
                return Ok(done);
            }
            Err(WriteError::Passing(why)) => why,
            Err(WriteError::Fenced(by)) => return Err(StoreError::Fenced { by }),
            Err(WriteError::Lasting(error)) => {
                return Err(StoreError::Failed { what, why: error.to_string() });
            }
        };
        let begun = *failing_since.get_or_insert_with(Instant::now);
        let refuses = begun.elapsed() >= patience.quiet;
        tracing::warn!(%why, attempts, refuses, "{what}: not now, will try again");
        let unavailable = StoreError::Unavailable { what, why };
        if attempts >= patience.attempts_max {
            return Err(unavailable);
        }
        if refuses {
            shared.unavailable(Some(unavailable));
        }
        shared.pause(pause)?;
        pause = longer(pause);
    }
}
