//! A child process that cannot outlive this one.
//!
//! Drop kills it; but a test binary that is killed with SIGKILL drops nothing, and the statics that
//! hold fixtures shared between tests are never dropped at all. So every child starts as a shell
//! that forks a watchdog and then becomes the program (same pid). The watchdog waits on a pipe
//! whose other end only this process holds: a line means "not needed any more", end of file means
//! that this process is gone, and then the watchdog kills the program and removes its directory.
//! (`PR_SET_PDEATHSIG` would not do: it fires when the *thread* that started the child ends.)

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::scratch::KEEP_FILE;

/// How often a wait looks again. Short beside the seconds a broker takes.
const POLL: Duration = Duration::from_millis(20);

/// How much of a log an error quotes.
const TAIL_LINES: usize = 40;

/// `$1` is the directory to remove, `$2` one to remove if it is empty then, `$3` the program's
/// standard input, the rest the program and its arguments. The second removal catches what the
/// program wrote while it was being killed.
const WATCHDOG: &str = r#"
directory=$1
above=$2
input=$3
shift 3
exec 3<&0
(
    trap '' HUP INT TERM
    read -r _ <&3 && exit
    kill -KILL $$
    [ -e "$directory/KEEP" ] && exit
    rm -rf -- "$directory" || { sleep 1; rm -rf -- "$directory"; }
    [ -z "$above" ] || rmdir -- "$above"
) </dev/null >/dev/null 2>&1 &
exec "$@" 3<&- <"$input"
"#;

/// What to run.
#[derive(Debug)]
pub struct Program {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    above: Option<PathBuf>,
    input: PathBuf,
    output: PathBuf,
    errors: Option<PathBuf>,
}

impl Program {
    /// A program whose files live in `directory`, which goes away with it. Its standard output and
    /// error go to `output`; `name` is what errors call it.
    pub fn new(name: &str, program: impl AsRef<OsStr>, directory: &Path, output: &Path) -> Program {
        Program {
            name: name.to_owned(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory.to_owned(),
            above: None,
            input: PathBuf::from("/dev/null"),
            output: output.to_owned(),
            errors: None,
        }
    }

    /// Several programs have a directory each in `above`: the last one removes that as well.
    pub fn in_directory(mut self, above: &Path) -> Program {
        self.above = Some(above.to_owned());
        self
    }

    /// Its standard input is this file instead of nothing.
    pub fn input(mut self, input: &Path) -> Program {
        self.input = input.to_owned();
        self
    }

    /// Its standard error goes to a file of its own.
    pub fn errors(mut self, errors: &Path) -> Program {
        self.errors = Some(errors.to_owned());
        self
    }

    /// Adds one argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Program {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.arguments.extend(arguments.into_iter().map(|one| one.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Program {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the shell or the log file cannot be opened. A program that does not exist shows up as
    /// an exit with status 127.
    pub fn spawn(self) -> io::Result<Supervised> {
        let output = File::create(&self.output)?;
        let errors = match &self.errors {
            Some(path) => File::create(path)?,
            None => output.try_clone()?,
        };
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(WATCHDOG.replace("KEEP", KEEP_FILE))
            .arg("watchdog")
            .arg(&self.directory)
            .arg(self.above.unwrap_or_default())
            .arg(self.input)
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Its own group: Ctrl-C reaches the tests only, and the watchdog does the rest.
            .process_group(0)
            .spawn()?;
        let lifeline = child.stdin.take();
        Ok(Supervised { name: self.name, child, lifeline, output: self.output, ended: None })
    }
}

/// A running (or ended) child process; killed on drop.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    child: Child,
    lifeline: Option<ChildStdin>,
    output: PathBuf,
    ended: Option<ExitStatus>,
}

/// A signal that [`Supervised::signal`] can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end in an orderly way.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGKILL: end now.
    Kill,
    /// SIGSTOP: stand still.
    Stop,
    /// SIGCONT: go on.
    Continue,
}

impl Supervised {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with its standard output and error.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// The last lines of its output.
    pub fn tail(&self) -> String {
        tail(&self.output)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
            if self.ended.is_some() {
                self.release();
            }
        }
        Ok(self.ended)
    }

    /// Waits for its end, at most so long; `None` if it still runs then.
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Whether its output contains this.
    pub fn said(&self, text: &str) -> bool {
        let output = fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&output).contains(text)
    }

    /// Waits until it is ready; otherwise says what it did instead.
    ///
    /// # Errors
    /// That it ended, or was not ready in time.
    pub fn wait_for(
        &mut self,
        patience: Duration,
        is_ready: impl Fn(&Supervised) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        loop {
            match self.ended() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(format!("ended with {status} while starting")),
                Err(error) => return Err(format!("cannot be waited for: {error}")),
            }
            if is_ready(self) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("was not up within {patience:?}"));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Sends a signal; nothing happens if it has ended.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let name = match signal {
            Signal::Kill => return self.child.kill(),
            Signal::Terminate => "TERM",
            Signal::Interrupt => "INT",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        // The shell's own `kill`: the system call itself would need unsafe code.
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "kill", name, &self.pid().to_string()])
            .status()?;
        if status.success() || self.ended()?.is_some() {
            return Ok(());
        }
        Err(io::Error::other(format!("cannot send SIG{name} to {}", self.name)))
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn kill(&mut self) -> io::Result<()> {
        if self.ended()?.is_none() {
            self.child.kill()?;
            self.release();
            self.ended = Some(self.child.wait()?);
        }
        Ok(())
    }

    /// Asks it to end, and kills it if it has not within `patience`. Says whether it did by itself.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn stop(&mut self, patience: Duration) -> io::Result<bool> {
        self.signal(Signal::Terminate)?;
        if self.wait(patience)?.is_some() {
            return Ok(true);
        }
        self.kill()?;
        Ok(false)
    }

    /// Sends the watchdog home, before the pid can belong to someone else.
    fn release(&mut self) {
        if let Some(mut lifeline) = self.lifeline.take() {
            // It fails only if the watchdog is gone already, which is as good.
            let _ = lifeline.write_all(b"\n");
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("cannot kill {} (pid {}): {error}", self.name, self.child.id());
        }
    }
}

/// The last lines of a file, for an error message.
pub(crate) fn tail(path: &Path) -> String {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        }
        Err(error) => format!("(cannot read {}: {error})", path.display()),
    }
}
