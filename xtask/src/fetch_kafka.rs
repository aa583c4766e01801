//! `cargo xtask fetch-kafka`: jars from Maven Central into `target/kafka/<version>/libs`.

use clap::ValueEnum;
use farlog_testkit::jars::{JarCache, Jars, KafkaVersion};

use crate::command::{self, Failure};
use crate::debian;

/// Which releases to fetch.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// A release to fetch, and more of them by repeating the option; by default those that tests
    /// of a push run against
    #[arg(long = "version", value_enum)]
    versions: Vec<Version>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    #[value(name = "4.3.1")]
    V4_3,
    #[value(name = "3.9.1")]
    V3_9,
    #[value(name = "3.7.2")]
    V3_7,
    #[value(name = "3.4.1")]
    V3_4,
    #[value(name = "3.0.2")]
    V3_0,
    #[value(name = "2.8.2")]
    V2_8,
}

impl Version {
    fn kafka(self) -> KafkaVersion {
        match self {
            Version::V4_3 => KafkaVersion::V4_3,
            Version::V3_9 => KafkaVersion::V3_9,
            Version::V3_7 => KafkaVersion::V3_7,
            Version::V3_4 => KafkaVersion::V3_4,
            Version::V3_0 => KafkaVersion::V3_0,
            Version::V2_8 => KafkaVersion::V2_8,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let versions: Vec<KafkaVersion> = match arguments.versions.as_slice() {
        [] => KafkaVersion::ALL.into_iter().chain([KafkaVersion::V2_8]).collect(),
        some => some.iter().map(|version| version.kafka()).collect(),
    };
    for version in versions {
        command::step(&format!("fetch-kafka {version}"), || fetch(version))?;
    }
    Ok(())
}

/// Fetches the jars of one release, unless they are there.
pub(crate) fn fetch(version: KafkaVersion) -> Result<Jars, Failure> {
    debian::provide(&[debian::JAVA, debian::MAVEN])?;
    JarCache::of_workspace().fetch(version).map_err(|error| Failure::new(error.to_string()))
}
