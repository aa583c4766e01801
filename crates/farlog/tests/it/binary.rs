//! Starting the real binary and talking to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use farlog_testkit::process::{Program, Supervised};
use farlog_testkit::scratch::Scratch;

pub(crate) const FARLOG: &str = env!("CARGO_BIN_EXE_farlog");

/// Nothing that a test waits for takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Runs a command to its end.
pub(crate) fn farlog(arguments: &[&str]) -> Output {
    Command::new(FARLOG).args(arguments).output().unwrap()
}

/// A settings file and the logs of instances that run it; all goes away with it.
pub(crate) struct Place {
    scratch: Scratch,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn new(name: &str, settings: &str) -> Place {
        let scratch = Scratch::new("farlog").unwrap();
        let file = scratch.join(name);
        std::fs::write(&file, settings).unwrap();
        Place { scratch, file }
    }

    /// Writes a file beside the settings.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.scratch.join(name), text).unwrap();
    }

    pub(crate) fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Starts `farlog run` on any free port.
    pub(crate) fn run(&self, instance: &str, arguments: &[&str]) -> Instance {
        let directory = self.scratch.join(instance);
        std::fs::create_dir_all(&directory).unwrap();
        let log = directory.join("log");
        let process = Program::new(instance, FARLOG, &directory, &log)
            .args(["run", self.file(), "--instance", instance, "--listen", "127.0.0.1:0"])
            .args(arguments)
            .spawn()
            .unwrap();
        Instance { process, log }
    }
}

/// A running instance.
pub(crate) struct Instance {
    pub(crate) process: Supervised,
    log: PathBuf,
}

impl Instance {
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }

    /// Where it serves metrics, from its log.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let begin = "metrics at http://";
        self.until("the address", |instance| instance.log().contains(begin));
        let log = self.log();
        let (_, rest) = log.split_once(begin).unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    pub(crate) fn until(&mut self, what: &str, mut wanted: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self) {
            let ended = self.process.ended().unwrap();
            assert!(ended.is_none(), "{what}: ended with {ended:?}:\n{}", self.log());
            assert!(Instant::now() < deadline, "{what} did not come:\n{}", self.log());
            std::thread::sleep(POLL);
        }
    }

    /// Waits for its end.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let ended = self.process.wait(PATIENCE).unwrap();
        ended.unwrap_or_else(|| panic!("it goes on and on:\n{}", self.log())).code()
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

/// Status line, headers and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The body of `/status` or of `--output json`.
pub(crate) fn json(text: &str) -> serde_json::Value {
    let body = text.split_once("\r\n\r\n").map_or(text, |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"))
}
