//! What a person wrote, turned into what Farlog does: `farlog.yaml` and `mm2.properties`.
//!
//! Pure: text and a door to environment variables and files go in, a [`topology::Topology`] and a
//! [`diagnostics::Report`] come out; only [`load_file`] touches the disk. Start reading at
//! [`load`].

pub mod diagnostics;
pub mod fields;
pub mod mm2;
pub mod properties;
pub mod security;
pub mod surroundings;
pub mod topology;
pub mod validate;
pub mod values;
pub mod yaml;

use std::io;
use std::path::Path;
use std::time::Duration;

use self::diagnostics::{Report, Severity};
use self::surroundings::{Process, Surroundings, read_bounded};
use self::topology::Topology;

/// How often the source is asked for new topics, where nothing else is said.
pub const REFRESH_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);

/// How long the other instances wait for one that went silent, unless the file says otherwise.
pub const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(6);
/// How often topic configs are compared, where nothing else is said.
pub const CONFIG_SYNC_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// The formats of a settings file, told apart by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.yaml`, `.yml`
    Farlog,
    /// `.properties`
    Mm2,
}

impl Format {
    /// The format of a file of this name.
    pub fn of_name(name: &str) -> Option<Format> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Format::Farlog),
            "properties" => Some(Format::Mm2),
            _ => None,
        }
    }
}

/// How a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Warnings, and in a MirrorMaker 2 file what is not yet here, refuse the file; families must
    /// answer the questions of a design review.
    pub strict: bool,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What could be compiled; not to be run unless [`Self::is_accepted`].
    pub topology: Topology,
    /// Everything there is to say.
    pub report: Report,
    /// As asked for.
    pub options: LoadOptions,
}

impl Loaded {
    /// Whether the topology may be run.
    pub fn is_accepted(&self) -> bool {
        let refused = [Severity::Warning, Severity::NotYet];
        let strictly = !self.options.strict
            || refused.iter().all(|severity| self.report.count(*severity) == 0);
        !self.report.has_errors() && strictly
    }
}

/// Reads, compiles and validates a settings file. Nothing is contacted.
///
/// `name` is what the person called the file: it decides the format and stands in the report.
pub fn load(
    name: &str,
    bytes: &[u8],
    options: &LoadOptions,
    surroundings: &dyn Surroundings,
) -> Loaded {
    let mut report = Report::new(name, &String::from_utf8_lossy(bytes));
    let topology = match Format::of_name(name) {
        Some(Format::Mm2) => mm2::compile(bytes, surroundings, &mut report),
        Some(Format::Farlog) => match std::str::from_utf8(bytes) {
            Ok(text) => yaml::compile(text, options.strict, surroundings, &mut report),
            Err(_) => {
                report.error(None, format!("{name} is not UTF-8 text"));
                None
            }
        },
        None => {
            report
                .error(None, format!("cannot tell what {name} is"))
                .hint("a settings file is called .yaml (Farlog's own) or .properties (MM2's)");
            None
        }
    };
    let topology = topology.unwrap_or_default();
    validate::validate(&topology, &mut report);
    Loaded { topology, report, options: *options }
}

/// Reads a settings file from disk; the report's file has the name that the person typed.
///
/// # Errors
/// If it cannot be read.
pub fn load_file(file: &Path, options: &LoadOptions) -> io::Result<Loaded> {
    let bytes = read_bounded(file)?;
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    Ok(load(&file.to_string_lossy(), &bytes, options, &Process::new(folder)))
}
