//! Programs that tests need and cargo cannot bring: installed where we may, asked for where not.

use std::path::Path;
use std::process::Command;

use crate::command::{self, Failure};

/// A program and the Debian package it comes in.
#[derive(Debug)]
pub(crate) struct Needed {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// Runs Kafka, MirrorMaker 2 and the Java test clients.
pub(crate) const JAVA: Needed = Needed { program: "java", package: "openjdk-17-jdk-headless" };
/// Compiles the Java test clients.
pub(crate) const JAVAC: Needed = Needed { program: "javac", package: "openjdk-17-jdk-headless" };
/// Fetches jars from Maven Central.
pub(crate) const MAVEN: Needed = Needed { program: "mvn", package: "maven" };
/// The librdkafka client of the tests.
pub(crate) const KCAT: Needed = Needed { program: "kcat", package: "kcat" };

/// Builds the Go client of the tests.
pub(crate) const GO: Needed = Needed { program: "go", package: "golang-go" };
/// Runs the JavaScript client of the tests.
pub(crate) const NODE: Needed = Needed { program: "node", package: "nodejs" };
/// Installs what the JavaScript client needs.
pub(crate) const NPM: Needed = Needed { program: "npm", package: "npm" };
/// Runs the Python clients of the tests.
pub(crate) const PYTHON: Needed = Needed { program: "python3", package: "python3-venv" };

/// Sees to it that the programs are there.
///
/// As root on Debian the missing ones are installed; elsewhere a sentence says what to install.
pub(crate) fn provide(needed: &[Needed]) -> Result<(), Failure> {
    let missing: Vec<&Needed> =
        needed.iter().filter(|one| !command::is_installed(one.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|one| one.package).collect();
    packages.dedup();
    if !may_install() {
        let programs: Vec<&str> = missing.iter().map(|one| one.program).collect();
        return Err(Failure::new(format!(
            "{} not found on the PATH: install the Debian packages {} or their like",
            programs.join(", "),
            packages.join(" ")
        )));
    }
    install_packages(&packages)
}

/// Whether we are root on Debian or its like.
pub(crate) fn may_install() -> bool {
    command::is_installed("apt-get") && is_root()
}

/// Installs a package though its program is there.
pub(crate) fn install(needed: &Needed) -> Result<(), Failure> {
    install_packages(&[needed.package])
}

fn install_packages(packages: &[&str]) -> Result<(), Failure> {
    command::run(apt_get().args(["update", "-qq"]))?;
    command::run(apt_get().args(["install", "-qq", "-y", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // Another run may be installing at the same time; wait for it.
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}

/// Only root may write where packages are recorded; the system call itself would need unsafe code.
fn is_root() -> bool {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"))
}
