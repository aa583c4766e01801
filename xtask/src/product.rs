//! The binary that benches and demos run.

use std::path::PathBuf;
use std::process::Command;

use farlog_testkit::jars::workspace;

use crate::command::{self, Failure};

/// How it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// As it is released.
    Release,
}

/// Builds `farlog`.
pub(crate) fn build(profile: Profile) -> Result<(), Failure> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--package", "farlog"]).current_dir(workspace());
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)
}

/// Where cargo puts it.
pub(crate) fn path(profile: Profile) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| workspace().join("target"));
    target.join(if profile == Profile::Release { "release" } else { "debug" }).join("farlog")
}
