//! The processes that mirror.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::script::SLOTS;
use super::{Command, Diary};
use crate::history::session::HistoryError;
use crate::ports::PortLease;
use crate::process::{Program, Signal, Supervised};
use crate::scratch::Scratch;

/// How long an orderly stop may take before it is a kill.
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// Up to two instances of the program, each with a name and a status address that it keeps.
#[derive(Debug)]
pub struct Instances {
    command: Command,
    directory: Scratch,
    slots: Vec<Slot>,
    diary: Diary,
}

#[derive(Debug)]
struct Slot {
    name: String,
    port: PortLease,
    process: Option<Supervised>,
    starts: u32,
}

impl Instances {
    /// None of them running.
    ///
    /// # Errors
    /// When there is no directory or port for them.
    pub fn new(command: Command, diary: Diary) -> Result<Instances, HistoryError> {
        let directory = Scratch::new("instances").map_err(system("making a directory"))?;
        let slots = (1..=SLOTS).map(|number| {
            let port = PortLease::take().map_err(system("taking a port"))?;
            let name = format!("instance-{number}");
            Ok(Slot { name, port, process: None, starts: 0 })
        });
        let slots = slots.collect::<Result<_, HistoryError>>()?;
        Ok(Instances { command, directory, slots, diary })
    }

    /// Starts one; a running one is left alone.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, slot: usize) -> Result<(), HistoryError> {
        let output = self.next_output(slot);
        let one = &mut self.slots[slot];
        if one.process.is_some() {
            return Ok(());
        }
        let arguments = (self.command.arguments)(&one.name, &one.port.address());
        // The directory is everybody's: it goes with the test, not with this process.
        let own = output.with_extension("directory");
        let mut program = Program::new(&one.name, &self.command.program, &own, &output)
            .args(arguments)
            .env("NO_COLOR", "1");
        for (name, value) in &self.command.environment {
            program = program.env(name, value);
        }
        one.process = Some(program.spawn().map_err(system("starting an instance"))?);
        one.starts += 1;
        self.diary.note(&format!("start {} ({})", one.name, one.starts));
        Ok(())
    }

    /// Kills one with SIGKILL, and returns when it is gone; false if it did not run.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn kill(&mut self, slot: usize) -> Result<bool, HistoryError> {
        let Some(mut process) = self.slots[slot].process.take() else { return Ok(false) };
        process.kill().map_err(system("killing an instance"))?;
        self.diary.note(&format!("kill {}", self.slots[slot].name));
        Ok(true)
    }

    /// Stops one with SIGTERM; false if it had to be killed.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn stop(&mut self, slot: usize) -> Result<bool, HistoryError> {
        let Some(mut process) = self.slots[slot].process.take() else { return Ok(true) };
        self.diary.note(&format!("stop {}", self.slots[slot].name));
        // One that stands still would not hear of it.
        process.signal(Signal::Continue).map_err(system("signalling an instance"))?;
        process.stop(STOP_PATIENCE).map_err(system("stopping an instance"))
    }

    /// Sends SIGSTOP or SIGCONT; false if it does not run.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn signal(&mut self, slot: usize, signal: Signal) -> Result<bool, HistoryError> {
        let one = &mut self.slots[slot];
        let Some(process) = one.process.as_mut() else { return Ok(false) };
        process.signal(signal).map_err(system("signalling an instance"))?;
        self.diary.note(&format!("signal {}: {signal:?}", one.name));
        Ok(true)
    }

    /// Whether one runs.
    pub fn runs(&self, slot: usize) -> bool {
        self.slots[slot].process.is_some()
    }

    /// Those that ended by themselves since the last call, with their last words.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn ended(&mut self) -> Result<Vec<(usize, ExitStatus, String)>, HistoryError> {
        let mut ended = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let Some(process) = slot.process.as_mut() else { continue };
            if let Some(status) = process.ended().map_err(system("waiting for an instance"))? {
                let tail = process.tail();
                slot.process = None;
                self.diary.note(&format!("{} ended by itself: {status}\n{tail}", slot.name));
                ended.push((at, status, tail));
            }
        }
        Ok(ended)
    }

    /// Where one serves its status.
    pub fn address(&self, slot: usize) -> String {
        self.slots[slot].port.address()
    }

    /// Leaves what they printed behind, for a person to look at.
    pub fn keep_files(&mut self) {
        self.directory.keep();
    }

    /// The last lines that one printed.
    pub fn tail(&self, slot: usize) -> String {
        self.slots[slot].process.as_ref().map(Supervised::tail).unwrap_or_default()
    }

    fn next_output(&self, slot: usize) -> PathBuf {
        let one = &self.slots[slot];
        self.directory.join(&format!("{}-{}.log", one.name, one.starts + 1))
    }
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> HistoryError {
    move |source| HistoryError::System { what: what.to_owned(), source }
}
