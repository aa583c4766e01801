//! Jars from Maven Central into a cache.
//!
//! Maven resolves what Kafka needs, from a `pom.xml` we write. The marker file is written last and
//! holds that `pom.xml`: it says both "complete" and "of these dependencies". A lock file makes a
//! second run wait for the first.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::{JarCache, Jars, KafkaVersion};
use crate::process::Program;
use crate::scratch::Scratch;

/// Some 60 MB over a slow line.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// How the shell says that there is no such program.
const NO_SUCH_PROGRAM: i32 = 127;

/// Why the jars could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file or a process could not be had.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no Maven.
    #[error(
        "the jars of Kafka {version} come through Maven, and there is no `mvn` on the PATH: \
         install Maven"
    )]
    NoMaven {
        /// The release.
        version: KafkaVersion,
    },
    /// Maven did not bring them.
    #[error("Maven cannot fetch Kafka {version} ({status}); the end of what it said:\n{tail}")]
    Failed {
        /// The release.
        version: KafkaVersion,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        tail: String,
    },
    /// Maven took too long and was killed.
    #[error("Maven did not fetch Kafka {version} within {PATIENCE:?}; what it said:\n{tail}")]
    TimedOut {
        /// The release.
        version: KafkaVersion,
        /// Its last lines.
        tail: String,
    },
}

impl FetchError {
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> FetchError {
        let what = what.into();
        move |source| FetchError::System { what, source }
    }
}

impl JarCache {
    /// The jars of a release, fetched unless they are there.
    ///
    /// # Errors
    /// When the cache cannot be written, or Maven is not there or fails.
    pub fn fetch(&self, version: KafkaVersion) -> Result<Jars, FetchError> {
        let directory = self.directory(version);
        let writing = || FetchError::system(format!("cannot write to {}", directory.display()));
        fs::create_dir_all(&directory).map_err(writing())?;
        let lock = File::create(directory.join("lock")).map_err(writing())?;
        lock.lock().map_err(writing())?;
        let pom = pom(version);
        if !self.is_complete(version, &pom) {
            absent(fs::remove_file(self.marker(version))).map_err(writing())?;
            absent(fs::remove_dir_all(self.libs(version))).map_err(writing())?;
            fs::write(directory.join("pom.xml"), &pom).map_err(writing())?;
            copy_dependencies(version, &directory.join("pom.xml"), &self.libs(version))?;
            fs::write(self.marker(version), &pom).map_err(writing())?;
        }
        Ok(Jars::new(version, version.number(), self.libs(version)))
    }

    /// The jars may be gone although the marker is not: someone tidied up.
    fn is_complete(&self, version: KafkaVersion, pom: &str) -> bool {
        let marker = fs::read_to_string(self.marker(version));
        self.libs(version).is_dir() && marker.is_ok_and(|text| text == pom)
    }
}

/// Runs Maven: a process that ends with this one, and leaves no half of a cache that looks whole.
fn copy_dependencies(version: KafkaVersion, pom: &Path, libs: &Path) -> Result<(), FetchError> {
    let running = || FetchError::system("running Maven");
    let scratch = Scratch::new("maven").map_err(running())?;
    let mut maven = Program::new("Maven", "mvn", scratch.path(), &scratch.join("output"))
        .args(["-q", "-B", "-Dstyle.color=never", "dependency:copy-dependencies", "-f"])
        .arg(pom)
        .arg(format!("-DoutputDirectory={}", libs.display()))
        .spawn()
        .map_err(running())?;
    match maven.wait(PATIENCE).map_err(running())? {
        Some(status) if status.success() => Ok(()),
        Some(status) if status.code() == Some(NO_SUCH_PROGRAM) => {
            Err(FetchError::NoMaven { version })
        }
        Some(status) => Err(FetchError::Failed { version, status, tail: maven.tail() }),
        None => Err(FetchError::TimedOut { version, tail: maven.tail() }),
    }
}

/// What is not there need not be removed.
fn absent(outcome: io::Result<()>) -> io::Result<()> {
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
    // Kafka 4, and reload4j, the maintained log4j 1, before. The oldest bring log4j 1 themselves.
    dependencies.extend(if version.has_log4j2() {
        vec![
            ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
            ("org.apache.logging.log4j", "log4j-core", "2.24.3"),
        ]
    } else if version >= KafkaVersion::V3_4 {
        vec![("org.slf4j", "slf4j-reload4j", "1.7.36")]
    } else {
        vec![]
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_version_has_its_own_pom() {
        let versions = KafkaVersion::OLD.into_iter().chain(KafkaVersion::ALL);
        let poms: BTreeSet<String> = versions
            .map(|version| {
                let pom = pom(version);
                assert_eq!(pom.matches(version.number()).count(), 3, "{pom}");
                pom
            })
            .collect();
        assert_eq!(poms.len(), KafkaVersion::OLD.len() + KafkaVersion::ALL.len());
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        assert!(absent(fs::remove_file("/no/such/file")).is_ok());
    }
}
