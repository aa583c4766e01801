//! The settings file of a command that asks clusters something: read, or refused with the reason on
//! stderr.

use std::io::{self, Write};
use std::path::Path;

use super::Outcome;
use crate::settings::topology::Topology;
use crate::settings::{LoadOptions, Loaded, load_file};

/// Reads a settings file, mistakes and all; `Err` holds what to end with when there is none.
pub(super) fn load(file: &Path) -> io::Result<Result<Loaded, Outcome>> {
    match load_file(file, &LoadOptions::default()) {
        Ok(loaded) => Ok(Ok(loaded)),
        Err(error) => {
            writeln!(io::stderr(), "error: cannot read {}: {error}", file.display())?;
            Ok(Err(Outcome::NoInput))
        }
    }
}

/// The topology of a settings file without mistakes; `Err` holds what to end with otherwise.
pub(super) fn topology(file: &Path) -> io::Result<Result<Topology, Outcome>> {
    let loaded = match load(file)? {
        Ok(loaded) => loaded,
        Err(outcome) => return Ok(Err(outcome)),
    };
    if loaded.report.has_errors() {
        let name = file.display();
        write!(io::stderr(), "{}", loaded.report.render())?;
        writeln!(io::stderr(), "{name}: refused; `farlog check {name}` says more")?;
        return Ok(Err(Outcome::Usage));
    }
    Ok(Ok(loaded.topology))
}
