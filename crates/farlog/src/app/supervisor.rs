//! Keeps links running, starts them again after failures, and stops them all on a signal.
//!
//! A link that fails is started again after a pause: it reads its position from the target, so a
//! restart can neither lose nor repeat a record. Only when no link gets going at all, because of
//! credentials or settings, does the process give up: then somebody is watching the start.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use farlog_client::ConnectError;
use farlog_client::group::GroupError;
use farlog_link::LinkError;
use farlog_link::status::LinkStatus;
use farlog_wire::ErrorCode;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::signals::StopSignal;
use crate::exit::Exit;

/// How long a drain may take.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(30);
/// A link that failed sooner than this never got going.
const GOING_AFTER: Duration = Duration::from_secs(60);
/// Pause before a link is started again: doubled from the first to the second.
const RESTART_MIN: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(60);

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkFailure {
    /// A cluster refuses us in a way that waiting does not cure.
    #[error("link {link}: cluster {alias}: {source}")]
    Connect {
        /// The link.
        link: String,
        /// The cluster.
        alias: String,
        /// What happened.
        source: Box<ConnectError>,
    },
    /// The link itself.
    #[error("link {link}: {source}")]
    Link {
        /// The link.
        link: String,
        /// What happened.
        source: LinkError,
    },
    /// A defect in Farlog.
    #[error("link {link} failed by a defect in farlog: {reason}")]
    Defect {
        /// The link.
        link: String,
        /// What is known of it.
        reason: String,
    },
}

impl LinkFailure {
    /// Whether another member took this instance's place in the group. It may have been a ghost:
    /// the last words of a killed process of the same name, delivered late. Nothing is wrong with
    /// the settings then, so it is no reason to give up.
    fn is_take_over(&self) -> bool {
        let Self::Link { source: LinkError::Group { source, .. }, .. } = self else { return false };
        matches!(&**source, GroupError::Refused(refused)
            if refused.code == ErrorCode::FENCED_INSTANCE_ID)
    }
}

/// The future of a link that runs.
pub type LinkRun = Pin<Box<dyn Future<Output = Result<(), LinkFailure>> + Send>>;

/// A link that can be started, again and again, and asked how it is.
#[derive(Clone)]
pub struct LinkTask {
    /// The link's name.
    pub name: String,
    /// How it is now.
    pub status: Arc<dyn Fn() -> LinkStatus + Send + Sync>,
    /// Starts it; it ends when the value turns true, after a drain, or when it fails.
    pub start: Arc<dyn Fn(watch::Receiver<bool>) -> LinkRun + Send + Sync>,
}

/// Runs links until a signal.
#[derive(Debug)]
pub struct Supervisor {
    tasks: Vec<LinkTask>,
    drain_deadline: Duration,
    nudge: Arc<Notify>,
}

/// Everything that can happen while links run.
enum Event {
    Signal(StopSignal),
    /// A link failed before it got going.
    NeverRan {
        link: String,
        exit: Exit,
    },
    /// Every link has ended by itself.
    AllEnded,
}

// === impl LinkFailure ===

impl LinkFailure {
    /// What the process ends with if no link gets going because of this.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Connect { .. } => Exit::Unavailable,
            Self::Link { source: LinkError::Name(_) | LinkError::SameCluster { .. }, .. } => {
                Exit::Usage
            }
            Self::Link { source: LinkError::Group { .. }, .. } => Exit::Unavailable,
            Self::Defect { .. } => Exit::Failed,
        }
    }
}

// === impl LinkTask ===

impl fmt::Debug for LinkTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkTask").field("name", &self.name).finish_non_exhaustive()
    }
}

// === impl Supervisor ===

impl Supervisor {
    /// Of some links.
    pub fn new(tasks: Vec<LinkTask>, drain_deadline: Duration) -> Self {
        Self { tasks, drain_deadline, nudge: Arc::default() }
    }

    /// Ends the pauses of links that failed, when told that something changed which may help.
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// Runs all links until the first signal, then drains them.
    pub async fn run(self, mut signals: mpsc::Receiver<StopSignal>) -> Exit {
        let (stop, stopping) = watch::channel(false);
        // One failure of each link may wait to be read; what is told twice says nothing new.
        let (failed, mut failures) = mpsc::channel(self.tasks.len().max(1));
        let mut running = JoinSet::new();
        for task in self.tasks.clone() {
            let nudge = self.nudge();
            running.spawn(keep_running(task, stopping.clone(), failed.clone(), nudge));
        }
        drop((stopping, failed));
        tracing::info!(links = self.tasks.len(), "farlog is running");
        let mut never_ran = BTreeMap::new();
        let exit = loop {
            match next_event(&mut signals, &mut failures, &mut running).await {
                Event::Signal(signal) => {
                    tracing::info!(
                        signal = signal.name(),
                        deadline_seconds = self.drain_deadline.as_secs(),
                        "draining; a second signal stops at once"
                    );
                    break Exit::Done;
                }
                Event::NeverRan { link, exit } => {
                    never_ran.insert(link, exit);
                    if never_ran.len() == self.tasks.len() {
                        tracing::error!("no link can be started: giving up");
                        break never_ran.into_values().next().unwrap_or(Exit::Failed);
                    }
                }
                Event::AllEnded => {
                    tracing::error!("every link has ended by itself");
                    break Exit::Failed;
                }
            }
        };
        stop.send_replace(true);
        self.drain(running, &mut signals, exit).await
    }

    /// Waits for the links to end, and says how that went.
    async fn drain(
        &self,
        mut running: JoinSet<()>,
        signals: &mut mpsc::Receiver<StopSignal>,
        exit: Exit,
    ) -> Exit {
        let begun = Instant::now();
        let all = async { while running.join_next().await.is_some() {} };
        let ended = tokio::select! {
            ended = timeout(self.drain_deadline, all) => ended.is_ok(),
            Some(signal) = signals.recv() => {
                tracing::warn!(
                    signal = signal.name(),
                    "second signal: stopped at once; the next start settles what was under way"
                );
                return signal.exit();
            }
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if ended {
            tracing::info!(took_ms, "drained: everything that was sent has been acknowledged");
            return exit;
        }
        tracing::warn!(
            took_ms,
            "the deadline passed before everything that was sent had been acknowledged; the next \
             start settles it"
        );
        Exit::DrainDeadline
    }
}

async fn next_event(
    signals: &mut mpsc::Receiver<StopSignal>,
    failures: &mut mpsc::Receiver<(String, Exit)>,
    running: &mut JoinSet<()>,
) -> Event {
    loop {
        tokio::select! {
            Some(signal) = signals.recv() => return Event::Signal(signal),
            Some((link, exit)) = failures.recv() => return Event::NeverRan { link, exit },
            ended = running.join_next() => match ended {
                // The others go on.
                Some(_) if !running.is_empty() => {}
                Some(_) | None => return Event::AllEnded,
            },
        }
    }
}

/// Runs a link until the shutdown, starting it again after failures.
async fn keep_running(
    task: LinkTask,
    mut stopping: watch::Receiver<bool>,
    failed: mpsc::Sender<(String, Exit)>,
    nudge: Arc<Notify>,
) {
    let mut pause = RESTART_MIN;
    let mut got_going = false;
    while !*stopping.borrow() {
        let begun = Instant::now();
        // In a task of its own, so that a defect ends one link and not the process.
        let run = tokio::spawn((task.start)(stopping.clone())).await;
        let failure = match run {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure,
            Err(defect) => {
                LinkFailure::Defect { link: task.name.clone(), reason: defect.to_string() }
            }
        };
        let went = begun.elapsed() >= GOING_AFTER;
        if went {
            pause = RESTART_MIN;
        }
        got_going |= went;
        tracing::error!(error = %failure, retry_in_ms = pause.as_millis() as u64, "a link failed");
        if !got_going && !failure.is_take_over() {
            // The receiver is gone only when the process is ending.
            let _ = failed.try_send((task.name.clone(), failure.exit()));
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(RESTART_MAX),
            () = nudge.notified() => pause = RESTART_MIN,
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

#[cfg(test)]
mod tests;
