//! One process of a cluster: started, stopped, killed, frozen.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::layout::{Center, NodeLayout, ZOOKEEPER_SESSION_MS};
use super::options::{KafkaOptions, Listener};
use super::ready;
use crate::jars::NotFetched;
use crate::jvm::Jvm;
use crate::process::{Program, Signal, Supervised};

/// A broker starts in about two seconds; a busy machine gets much more.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// An orderly stop of a broker takes a second or two.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Why a cluster could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The jars are missing.
    #[error(transparent)]
    NotFetched(#[from] NotFetched),
    /// A file, a port or a process could not be had.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// `StorageTool format` failed.
    #[error("kafka {release} cannot format {}:\n{output}", directory.display())]
    Format {
        /// The release.
        release: String,
        /// The data directory.
        directory: PathBuf,
        /// What the tool printed.
        output: String,
    },
    /// The process ended, or was not up in time.
    #[error("{name} {what}; the end of its log:\n{tail}")]
    NotUp {
        /// Which process.
        name: String,
        /// What it did instead.
        what: String,
        /// The last lines of its log.
        tail: String,
    },
    /// Something that only makes sense while the broker is down (or up) was asked of one that is
    /// not.
    #[error("{name} is {state}")]
    WrongState {
        /// Which process.
        name: String,
        /// How it is.
        state: &'static str,
    },
    /// No such partition in the broker's data directory, or its log is not what it should be.
    #[error("{topic}-{partition}: {what}")]
    Log {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is wrong.
        what: String,
    },
}

impl KafkaError {
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> KafkaError {
        let what = what.into();
        move |source| KafkaError::System { what, source }
    }
}

/// One process of a cluster: a broker, or the controller that stands beside two.
#[derive(Debug)]
pub struct Broker {
    name: String,
    layout: NodeLayout,
    options: KafkaOptions,
    server: Server,
    run: Mutex<Run>,
}

/// What runs as a broker.
#[derive(Debug)]
enum Server {
    /// Apache Kafka: the JVM's arguments up to the main class.
    Kafka { java: Vec<String> },
    /// Farlog's embedded broker: the binary, and the id of the cluster.
    Embedded { farlog: PathBuf, cluster_id: String },
}

/// Names a `farlog` binary: plain single-broker clusters are then its embedded brokers, and the
/// same tests say whether they are as good as Kafka.
const EMBEDDED_VARIABLE: &str = "FARLOG_EMBEDDED";

#[derive(Debug, Default)]
struct Run {
    process: Option<Supervised>,
    /// How often it was started: each start has a log of its own.
    starts: u32,
    /// ZooKeeper takes it to run until then, and would refuse another of its id.
    registered_until: Option<Instant>,
}

impl Broker {
    /// Writes its settings and formats its data directory.
    pub(super) fn prepare(
        options: &KafkaOptions,
        layout: NodeLayout,
        center: &Center,
        cluster_id: &str,
    ) -> Result<Broker, KafkaError> {
        let what = format!("preparing {}", layout.directory.display());
        fs::create_dir_all(&layout.directory).map_err(KafkaError::system(what.clone()))?;
        let settings = super::layout::properties(options, &layout, center);
        fs::write(layout.properties_file(), settings).map_err(KafkaError::system(what.clone()))?;
        let role = if layout.is_broker() { "broker" } else { layout.roles };
        let name = format!("kafka {} {role} {}", options.release(), layout.id);
        let (options, run) = (options.clone(), Mutex::new(Run::default()));
        if let Some(farlog) = std::env::var_os(EMBEDDED_VARIABLE)
            && options.is_plain()
        {
            let (farlog, cluster_id) = (PathBuf::from(farlog), cluster_id.to_owned());
            let server = Server::Embedded { farlog, cluster_id };
            return Ok(Broker { name: "embedded broker".to_owned(), layout, options, server, run });
        }
        let jvm = Jvm { version: options.version, mode: options.jvm, heap_mb: options.heap_mb };
        let mut java = jvm.arguments(&layout.directory).map_err(KafkaError::system(what))?;
        java.extend(["-cp".to_owned(), options.class_path()?]);
        if !options.version.has_zookeeper() {
            format(&options, &layout, &java, cluster_id)?;
        }
        Ok(Broker { name, layout, options, server: Server::Kafka { java }, run })
    }

    /// Its node id.
    pub fn id(&self) -> i32 {
        self.layout.id
    }

    /// Where it listens itself, whatever it advertises.
    pub fn address(&self, listener: Listener) -> Option<SocketAddr> {
        let lease = self.layout.listeners.get(&listener)?;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, lease.port())))
    }

    /// Where it tells clients to find it.
    pub fn advertised(&self, listener: Listener) -> Option<String> {
        let own = self.layout.listeners.get(&listener)?.address();
        Some(self.options.advertised_address(listener, self.layout.id).unwrap_or(own))
    }

    /// The directory of its settings, logs and data.
    pub fn directory(&self) -> &Path {
        &self.layout.directory
    }

    pub(super) fn is_broker(&self) -> bool {
        self.layout.is_broker()
    }

    /// Its data directory (`log.dirs`).
    pub fn log_dir(&self) -> PathBuf {
        self.layout.data()
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.lock().process.as_ref().map(Supervised::pid)
    }

    /// How its process ended, if it has by itself: not after [`stop`](Self::stop) or
    /// [`kill`](Self::kill).
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn ended(&self) -> io::Result<Option<ExitStatus>> {
        match &mut self.lock().process {
            Some(process) => process.ended(),
            None => Ok(None),
        }
    }

    /// The last lines of what it said in its current (or last) run.
    pub fn log_tail(&self) -> String {
        crate::process::tail(&self.output(self.lock().starts))
    }

    /// Everything it said in its current (or last) run.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn log(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.output(self.lock().starts))?).into_owned())
    }

    /// Starts the process without waiting for it to be up.
    pub(super) fn spawn(&self) -> Result<(), KafkaError> {
        let mut run = self.lock();
        if run.process.is_some() {
            return Err(self.wrong_state("running"));
        }
        if let Some(until) = run.registered_until.take() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        run.starts += 1;
        let output = self.output(run.starts);
        let directory = &self.layout.directory;
        let program = match &self.server {
            Server::Kafka { java } => Program::new(&self.name, "java", directory, &output)
                .args(java)
                .arg(self.main_class())
                .arg(self.layout.properties_file()),
            Server::Embedded { farlog, cluster_id } => {
                Program::new(&self.name, farlog, directory, &output)
                    .args(["broker", "--cluster-id", cluster_id, "--no-auto-create-topics"])
                    .args(["--listen", &self.layout.listeners[&Listener::Plain].address()])
                    .arg("--data")
                    .arg(self.layout.data())
                    .args(self.embedded_settings())
            }
        };
        let program = program.in_directory(self.layout.root());
        let what = format!("starting {}", self.name);
        run.process = Some(program.spawn().map_err(KafkaError::system(what))?);
        Ok(())
    }

    /// Waits until it is up.
    pub(super) fn wait_until_up(&self) -> Result<(), KafkaError> {
        let mut run = self.lock();
        let Some(process) = run.process.as_mut() else {
            return Err(self.wrong_state("not running"));
        };
        let outcome = process.wait_for(START_PATIENCE, |process| {
            let is_embedded = matches!(self.server, Server::Embedded { .. });
            (is_embedded || process.said(self.started()))
                && self
                    .address(Listener::Plain)
                    .is_none_or(|address| ready::shake_hands(address).is_ok())
        });
        if let Err(what) = outcome {
            let tail = process.tail();
            run.process = None;
            return Err(KafkaError::NotUp { name: self.name.clone(), what, tail });
        }
        Ok(())
    }

    /// Starts it (again) on the same ports and data, and waits until it is up.
    ///
    /// # Errors
    /// When it runs already, or does not come up.
    pub fn start(&self) -> Result<(), KafkaError> {
        self.spawn()?;
        self.wait_until_up()
    }

    /// Stops it in an orderly way (SIGTERM).
    ///
    /// # Errors
    /// When it does not end within a minute; it is killed then.
    pub fn stop(&self) -> Result<(), KafkaError> {
        let mut run = self.lock();
        let Some(mut process) = run.process.take() else { return Ok(()) };
        let what = format!("stopping {}", self.name);
        if process.stop(STOP_PATIENCE).map_err(KafkaError::system(what))? {
            return Ok(());
        }
        Err(KafkaError::NotUp {
            name: self.name.clone(),
            what: format!("had to be killed {STOP_PATIENCE:?} after SIGTERM"),
            tail: process.tail(),
        })
    }

    /// Kills it with SIGKILL, and returns when it is gone.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn kill(&self) -> Result<(), KafkaError> {
        let mut run = self.lock();
        let Some(mut process) = run.process.take() else { return Ok(()) };
        if self.options.version.has_zookeeper() && self.is_broker() {
            // And half of it again, for ZooKeeper looks at its sessions every now and then.
            let session = Duration::from_millis(ZOOKEEPER_SESSION_MS * 3 / 2);
            run.registered_until = Some(Instant::now() + session);
        }
        process.kill().map_err(KafkaError::system(format!("killing {}", self.name)))
    }

    /// [`stop`](Self::stop), then [`start`](Self::start).
    ///
    /// # Errors
    /// Those of both.
    pub fn restart(&self) -> Result<(), KafkaError> {
        self.stop()?;
        self.start()
    }

    /// Freezes it (SIGSTOP): its sockets stay open, and nothing is answered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<(), KafkaError> {
        self.signal(Signal::Stop)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<(), KafkaError> {
        self.signal(Signal::Continue)
    }

    fn signal(&self, signal: Signal) -> Result<(), KafkaError> {
        let mut run = self.lock();
        let Some(process) = run.process.as_mut() else {
            return Err(self.wrong_state("not running"));
        };
        process.signal(signal).map_err(KafkaError::system(format!("signalling {}", self.name)))
    }

    /// The properties of the cluster, as the embedded broker takes them: it refuses what it does
    /// not know.
    fn embedded_settings(&self) -> Vec<String> {
        let set = |(name, value): (&String, &String)| format!("--set={name}={value}");
        self.options.properties.iter().map(set).collect()
    }

    fn main_class(&self) -> &'static str {
        if self.layout.is_zookeeper() {
            "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        } else {
            "kafka.Kafka"
        }
    }

    /// What its log says once it is up.
    fn started(&self) -> &'static str {
        match (self.layout.is_zookeeper(), self.options.version.has_zookeeper()) {
            (true, _) => ready::ZOOKEEPER_STARTED,
            (false, true) => ready::STARTED_WITH_ZOOKEEPER,
            (false, false) => ready::STARTED,
        }
    }

    /// The id of its cluster, from its data directory.
    pub(super) fn cluster_id(&self) -> Result<String, KafkaError> {
        let file = self.layout.data().join("meta.properties");
        let what = || KafkaError::system(format!("looking for a cluster id in {}", file.display()));
        let text = fs::read_to_string(&file).map_err(what())?;
        let id = text.lines().find_map(|line| line.strip_prefix("cluster.id="));
        id.map(str::to_owned).ok_or_else(|| what()(io::ErrorKind::NotFound.into()))
    }

    fn output(&self, start: u32) -> PathBuf {
        self.layout.directory.join(format!("output-{start}.log"))
    }

    pub(super) fn wrong_state(&self, state: &'static str) -> KafkaError {
        KafkaError::WrongState { name: self.name.clone(), state }
    }

    fn lock(&self) -> MutexGuard<'_, Run> {
        // A test that panicked while it held the lock left nothing half done in it.
        self.run.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Formats a data directory.
fn format(
    options: &KafkaOptions,
    layout: &NodeLayout,
    java: &[String],
    cluster_id: &str,
) -> Result<(), KafkaError> {
    let running = || KafkaError::system("running java");
    // A process like the brokers: it ends with this one, and takes the directory along.
    let output = layout.directory.join("format.log");
    let mut tool = Program::new("StorageTool", "java", &layout.directory, &output)
        .in_directory(layout.root())
        .args(java)
        .args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"])
        .arg(layout.properties_file())
        .args(options.scram_users())
        .spawn()
        .map_err(running())?;
    if tool.wait(START_PATIENCE).map_err(running())?.is_some_and(|status| status.success()) {
        return Ok(());
    }
    Err(KafkaError::Format {
        release: options.release().to_owned(),
        directory: layout.data(),
        output: tool.tail(),
    })
}
