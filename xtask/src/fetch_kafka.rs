//! `cargo xtask fetch-kafka`: jars from Maven Central into `target/kafka/<version>/libs`.
//!
//! Maven resolves what Kafka needs, from a `pom.xml` we write. The marker file is written last and
//! holds that `pom.xml`: it says both "complete" and "of these dependencies". A lock file makes a
//! second run wait for the first.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use farlog_testkit::jars::KafkaVersion;

use crate::command::{self, Failure};
use crate::debian;

/// Which releases to fetch.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// A release to fetch, and more of them by repeating the option; all by default
    #[arg(long = "version", value_enum)]
    versions: Vec<Version>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    #[value(name = "4.3.1")]
    V4_3,
    #[value(name = "3.9.1")]
    V3_9,
}

impl Version {
    fn kafka(self) -> KafkaVersion {
        match self {
            Version::V4_3 => KafkaVersion::V4_3,
            Version::V3_9 => KafkaVersion::V3_9,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let versions = match arguments.versions.as_slice() {
        [] => KafkaVersion::ALL.to_vec(),
        some => some.iter().map(|version| version.kafka()).collect(),
    };
    for version in versions {
        command::step(&format!("fetch-kafka {version}"), || fetch(version))?;
    }
    Ok(())
}

/// Fetches the jars of one release, unless they are there.
pub(crate) fn fetch(version: KafkaVersion) -> Result<(), Failure> {
    debian::provide(&[debian::JAVA, debian::MAVEN])?;
    let directory = version.directory();
    fs::create_dir_all(&directory)
        .map_err(Failure::while_doing(format!("cannot make {}", directory.display())))?;
    let _lock = lock(&directory.join("lock"))?;
    let pom = pom(version);
    if is_complete(version, &pom) {
        return Ok(());
    }
    let writing = || format!("cannot write to {}", directory.display());
    remove(fs::remove_file(version.marker())).map_err(Failure::while_doing(writing()))?;
    remove(fs::remove_dir_all(version.libs())).map_err(Failure::while_doing(writing()))?;
    fs::write(directory.join("pom.xml"), &pom).map_err(Failure::while_doing(writing()))?;
    command::run(
        Command::new("mvn")
            .args(["-q", "-B", "-Dstyle.color=never", "dependency:copy-dependencies"])
            .arg(format!("-DoutputDirectory={}", version.libs().display()))
            .current_dir(&directory),
    )?;
    fs::write(version.marker(), &pom).map_err(Failure::while_doing(writing()))
}

/// The jars may be gone although the marker is not: someone tidied up.
fn is_complete(version: KafkaVersion, pom: &str) -> bool {
    version.libs().is_dir() && fs::read_to_string(version.marker()).is_ok_and(|text| text == pom)
}

fn lock(path: &Path) -> Result<File, Failure> {
    let doing = || Failure::while_doing(format!("cannot lock {}", path.display()));
    let file = File::create(path).map_err(doing())?;
    file.lock().map_err(doing())?;
    Ok(file)
}

/// What is not there need not be removed.
fn remove(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The `pom.xml` that names what we run; Maven adds what that needs.
fn pom(version: KafkaVersion) -> String {
    let number = version.number();
    let mut dependencies: Vec<(&str, &str, &str)> = ["kafka_2.13", "kafka-tools", "connect-mirror"]
        .into_iter()
        .map(|artifact| ("org.apache.kafka", artifact, number))
        .collect();
    // Kafka logs through SLF4J 1.7 and leaves the back end to its distribution: log4j 2 since
    // Kafka 4, and reload4j, the maintained log4j 1, before.
    dependencies.extend(match version {
        KafkaVersion::V4_3 => vec![
            ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
            ("org.apache.logging.log4j", "log4j-core", "2.24.3"),
        ],
        KafkaVersion::V3_9 => vec![("org.slf4j", "slf4j-reload4j", "1.7.36")],
    });
    let mut pom = String::from(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
         <modelVersion>4.0.0</modelVersion>\n\
         <groupId>farlog</groupId><artifactId>kafka</artifactId><version>1</version>\n\
         <packaging>pom</packaging>\n<dependencies>\n",
    );
    for (group, artifact, version) in dependencies {
        pom.push_str(&format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        ));
    }
    pom.push_str("</dependencies>\n</project>\n");
    pom
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_own_pom() {
        let poms: Vec<String> = KafkaVersion::ALL.into_iter().map(pom).collect();
        for (version, pom) in KafkaVersion::ALL.into_iter().zip(&poms) {
            assert_eq!(pom.matches(version.number()).count(), 3, "{pom}");
        }
        assert_ne!(poms[0], poms[1]);
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        assert!(remove(fs::remove_file("/no/such/file")).is_ok());
    }
}
