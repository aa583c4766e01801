//! The signals that stop the process.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::exit::Exit;

/// Who asks to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: an orchestrator.
    Terminate,
}

/// Signals that nobody has read yet; the second one already ends the process.
const WAITING_MAX: usize = 2;

impl StopSignal {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// How the process ends when it comes a second time.
    pub fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

/// Begins to listen: from now on these signals do not end the process by themselves.
pub fn listen() -> io::Result<mpsc::Receiver<StopSignal>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        loop {
            let got = tokio::select! {
                Some(()) = interrupt.recv() => StopSignal::Interrupt,
                Some(()) = terminate.recv() => StopSignal::Terminate,
                else => return,
            };
            if sender.send(got).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
