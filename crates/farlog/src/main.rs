//! The `farlog` binary.

use std::process::ExitCode;

use farlog::cli;

/// Many small and some large buffers from many threads: it keeps the memory of a busy link low.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::arguments() {
        Ok(arguments) => cli::run(&arguments).into(),
        Err(outcome) => outcome.into(),
    }
}
