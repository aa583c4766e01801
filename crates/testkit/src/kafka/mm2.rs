//! MirrorMaker 2 in dedicated mode, as a child process: what Farlog is measured against.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use super::node::KafkaError;
use crate::jars::KafkaVersion;
use crate::jvm::{Jvm, JvmMode};
use crate::process::{Program, Supervised};
use crate::scratch::Scratch;

/// What its log says once its connectors are configured. Tasks, and with them the first records,
/// come a few seconds later.
const STARTED: &str = "Kafka MirrorMaker started";

const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Clone, Debug)]
pub struct MirrorMakerOptions {
    version: KafkaVersion,
    mode: JvmMode,
    heap_mb: u32,
    properties: String,
}

impl MirrorMakerOptions {
    /// MirrorMaker 2 of this release, tuned for throughput and with the 2 GB of heap that its start
    /// script gives it.
    pub fn new(version: KafkaVersion) -> MirrorMakerOptions {
        MirrorMakerOptions {
            version,
            mode: JvmMode::Bench,
            heap_mb: 2048,
            properties: String::new(),
        }
    }

    /// Adds a line to its properties file.
    pub fn property(mut self, name: &str, value: impl std::fmt::Display) -> MirrorMakerOptions {
        writeln!(self.properties, "{name} = {value}").expect("writing to a String cannot fail");
        self
    }

    /// Adds lines, as in a properties file.
    pub fn properties(mut self, lines: &str) -> MirrorMakerOptions {
        self.properties.push_str(lines);
        self.properties.push('\n');
        self
    }

    /// One replica of each of its internal topics, which is all that one broker can hold.
    pub fn one_replica(self) -> MirrorMakerOptions {
        [
            "replication.factor",
            "checkpoints.topic.replication.factor",
            "heartbeats.topic.replication.factor",
            "offset-syncs.topic.replication.factor",
            "offset.storage.replication.factor",
            "status.storage.replication.factor",
            "config.storage.replication.factor",
        ]
        .into_iter()
        .fold(self, |options, name| options.property(name, 1))
    }

    /// What to tune the JVM for.
    pub fn jvm(mut self, mode: JvmMode) -> MirrorMakerOptions {
        self.mode = mode;
        self
    }

    /// Its heap.
    pub fn heap_mb(mut self, heap_mb: u32) -> MirrorMakerOptions {
        self.heap_mb = heap_mb;
        self
    }
}

/// A running MirrorMaker 2; killed on drop.
#[derive(Debug)]
pub struct MirrorMaker {
    process: Supervised,
    _scratch: Scratch,
}

impl MirrorMaker {
    /// Starts it and waits until it says that it has started.
    ///
    /// # Errors
    /// When it does not; the error quotes the end of its log.
    pub fn start(options: &MirrorMakerOptions) -> Result<MirrorMaker, KafkaError> {
        let class_path = options.version.class_path()?;
        let name = format!("MirrorMaker {}", options.version);
        let system = || KafkaError::system(format!("starting {name}"));
        let scratch = Scratch::new("mm2").map_err(system())?;
        let file = scratch.join("mm2.properties");
        fs::write(&file, &options.properties).map_err(system())?;
        let jvm = Jvm { version: options.version, mode: options.mode, heap_mb: options.heap_mb };
        let output = scratch.join("output.log");
        let mut process = Program::new(&name, "java", scratch.path(), &output)
            .args(jvm.arguments(scratch.path()).map_err(system())?)
            .args(["-cp", &class_path, "org.apache.kafka.connect.mirror.MirrorMaker"])
            .arg(&file)
            .spawn()
            .map_err(system())?;
        process
            .wait_for(START_PATIENCE, |process| process.said(STARTED))
            .map_err(|what| KafkaError::NotUp { name, what, tail: process.tail() })?;
        Ok(MirrorMaker { process, _scratch: scratch })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        self.process.tail()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn kill(mut self) -> Result<(), KafkaError> {
        self.process.kill().map_err(KafkaError::system("killing MirrorMaker"))
    }

    /// Stops it in an orderly way; kills it if that takes more than a minute.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn stop(mut self) -> Result<(), KafkaError> {
        self.process.stop(STOP_PATIENCE).map_err(KafkaError::system("stopping MirrorMaker"))?;
        Ok(())
    }
}
