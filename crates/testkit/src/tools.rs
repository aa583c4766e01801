//! Foreign programs, run to their end: Kafka's own command-line tools, kcat (librdkafka), and the
//! small Java clients in this crate's `java/`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::jars::{KafkaVersion, NotFetched, workspace};
use crate::jvm::{Jvm, JvmMode};
use crate::process::{Program, Supervised};
use crate::scratch::Scratch;

/// How long a tool may take unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// Enough for every tool; none holds more than a few batches.
const HEAP_MB: u32 = 256;

/// Why a tool did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The jars are missing.
    #[error(transparent)]
    NotFetched(#[from] NotFetched),
    /// A file or a process could not be had.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with an error.
    #[error("{name} ended with {status}\nstandard output:\n{stdout}\nstandard error:\n{stderr}")]
    Failed {
        /// Which tool.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it printed, the last lines.
        stdout: String,
        /// What it said besides, the last lines.
        stderr: String,
    },
    /// It had not ended in time and was killed.
    #[error("{name} was killed after {patience:?}; the end of what it said:\n{stderr}")]
    TimedOut {
        /// Which tool.
        name: String,
        /// How long it had.
        patience: Duration,
        /// What it said, the last lines.
        stderr: String,
    },
}

impl ToolError {
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> ToolError {
        let what = what.into();
        move |source| ToolError::System { what, source }
    }
}

/// What a tool printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error: for Java tools, their log as well.
    pub stderr: String,
}

/// What to run.
#[derive(Clone, Debug)]
enum What {
    Java { version: KafkaVersion, class: String, own: bool },
    Native(String),
}

/// A tool with its arguments.
#[derive(Clone, Debug)]
pub struct Tool {
    what: What,
    arguments: Vec<String>,
    properties: Vec<String>,
    input: Vec<u8>,
    patience: Duration,
    jvm: JvmMode,
    heap_mb: u32,
}

impl Tool {
    /// One of Kafka's own, by its main class, such as `org.apache.kafka.tools.TopicCommand`.
    pub fn kafka(version: KafkaVersion, class: &str) -> Tool {
        Tool::new(What::Java { version, class: class.to_owned(), own: false })
    }

    /// One of the Java clients in this crate's `java/`, by its class, such as `Produce`. They are
    /// compiled against the version's jars when they have changed.
    pub fn java_client(version: KafkaVersion, class: &str) -> Tool {
        Tool::new(What::Java { version, class: class.to_owned(), own: true })
    }

    /// librdkafka's command-line client.
    pub fn kcat() -> Tool {
        Tool::program("kcat")
    }

    /// Any program on the `PATH`.
    pub fn program(name: &str) -> Tool {
        Tool::new(What::Native(name.to_owned()))
    }

    fn new(what: What) -> Tool {
        Tool {
            what,
            arguments: Vec::new(),
            properties: Vec::new(),
            input: Vec::new(),
            patience: PATIENCE,
            jvm: JvmMode::Test,
            heap_mb: HEAP_MB,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, argument: impl ToString) -> Tool {
        self.arguments.push(argument.to_string());
        self
    }

    /// Adds arguments.
    pub fn args<A: ToString>(mut self, arguments: impl IntoIterator<Item = A>) -> Tool {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.to_string()));
        self
    }

    /// Sets a system property of its JVM, if it has one.
    pub fn property(mut self, name: &str, value: &str) -> Tool {
        self.properties.push(format!("-D{name}={value}"));
        self
    }

    /// What it reads from its standard input; nothing by default.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Tool {
        self.input = input.into();
        self
    }

    /// How long it may take; two minutes by default.
    pub fn patience(mut self, patience: Duration) -> Tool {
        self.patience = patience;
        self
    }

    /// How its JVM is tuned, if it has one: [`JvmMode::Bench`] for a load generator.
    pub fn jvm(mut self, mode: JvmMode, heap_mb: u32) -> Tool {
        self.jvm = mode;
        self.heap_mb = heap_mb;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, ends with an error, or takes too long.
    pub fn run(self) -> Result<ToolOutput, ToolError> {
        let patience = self.patience;
        self.start()?.wait(patience)
    }

    /// Starts it and lets it run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(self) -> Result<RunningTool, ToolError> {
        let name = match &self.what {
            What::Java { class, .. } => class.clone(),
            What::Native(name) => name.clone(),
        };
        let system = || ToolError::system(format!("starting {name}"));
        let scratch = Scratch::new("tool").map_err(system())?;
        let input = scratch.join("input");
        fs::write(&input, &self.input).map_err(system())?;
        let output = scratch.join("output");
        let errors = scratch.join("errors");
        let program = match &self.what {
            What::Native(program) => Program::new(&name, program, scratch.path(), &output),
            What::Java { version, class, own } => {
                let mut class_path = version.class_path()?;
                if *own {
                    class_path = format!("{}:{class_path}", compiled(*version, class)?.display());
                }
                let jvm = Jvm { version: *version, mode: self.jvm, heap_mb: self.heap_mb };
                Program::new(&name, "java", scratch.path(), &output)
                    .args(jvm.arguments(scratch.path()).map_err(system())?)
                    .args(&self.properties)
                    .args(["-cp", &class_path, class])
            }
        };
        let process =
            program.args(&self.arguments).input(&input).errors(&errors).spawn().map_err(system())?;
        Ok(RunningTool { process, errors, _scratch: scratch })
    }
}

/// A tool that runs; killed on drop.
#[derive(Debug)]
pub struct RunningTool {
    process: Supervised,
    errors: PathBuf,
    _scratch: Scratch,
}

impl RunningTool {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        read(self.process.output())
    }

    /// Waits for its end, at most so long.
    ///
    /// # Errors
    /// When it ends with an error or takes too long.
    pub fn wait(mut self, patience: Duration) -> Result<ToolOutput, ToolError> {
        let name = self.process.name().to_owned();
        let status = self
            .process
            .wait(patience)
            .map_err(ToolError::system(format!("waiting for {name}")))?;
        match status {
            None => {
                let stderr = crate::process::tail(&self.errors);
                Err(ToolError::TimedOut { name, patience, stderr })
            }
            Some(status) if !status.success() => {
                let stderr = crate::process::tail(&self.errors);
                Err(ToolError::Failed { name, status, stdout: self.process.tail(), stderr })
            }
            Some(_) => Ok(ToolOutput { stdout: self.stdout(), stderr: read(&self.errors) }),
        }
    }
}

/// What is there of a file that a process of ours writes.
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Compiles one of the Java clients, and what it uses, against the version's jars, unless that is
/// done, and says where the classes are. Each goes by itself: not every client can be compiled
/// against every version. Test binaries may come here at the same time: a lock file orders them.
fn compiled(version: KafkaVersion, class: &str) -> Result<PathBuf, ToolError> {
    let system = || ToolError::system("compiling the Java test clients");
    let sources_in = workspace().join("crates/testkit/java");
    let mut sources: Vec<PathBuf> = fs::read_dir(&sources_in)
        .map_err(system())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "java"))
        .collect();
    sources.sort();
    let mut text = Vec::new();
    for source in &sources {
        text.extend(fs::read(source).map_err(system())?);
    }
    let lock = File::create(version.directory().join("clients.lock")).map_err(system())?;
    lock.lock().map_err(system())?;
    let classes = version.directory().join("clients").join(class);
    // The marker is written last and holds what was compiled.
    let marker = classes.join("sources");
    if fs::read(&marker).is_ok_and(|compiled| compiled == text) {
        return Ok(classes);
    }
    fs::create_dir_all(&classes).map_err(system())?;
    let output = Command::new("javac")
        .args(["-cp", &version.class_path()?, "-d"])
        .arg(&classes)
        .arg("-sourcepath")
        .arg(&sources_in)
        .arg(sources_in.join(format!("{class}.java")))
        .output()
        .map_err(ToolError::system("running javac"))?;
    if !output.status.success() {
        return Err(ToolError::Failed {
            name: "javac".to_owned(),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    fs::write(marker, text).map_err(system())?;
    Ok(classes)
}
