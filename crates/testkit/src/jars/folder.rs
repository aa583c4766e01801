//! The jars of one release, in whatever folder they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::KafkaVersion;

/// The jar that tells the release, and what its name begins with.
const CLIENTS: &str = "kafka-clients-";

/// What else a cluster and MirrorMaker 2 need of Kafka itself, by the beginnings of their names.
const NEEDED: [&str; 2] = ["kafka_2.13-", "connect-mirror-"];

/// The jars of one release of Kafka with everything they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jars {
    version: KafkaVersion,
    release: String,
    libs: PathBuf,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be listed.
    #[error("cannot read {}: {source}", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Kafka is not in it.
    #[error(
        "{} is neither a folder of Kafka's jars nor an unpacked Kafka: there is no {jar}*.jar in \
         it, or in its folder libs",
        folder.display()
    )]
    NotKafka {
        /// The folder.
        folder: PathBuf,
        /// The beginning of the name of the jar that is missing.
        jar: &'static str,
    },
    /// It holds several releases.
    #[error("{} holds several releases of Kafka: {}", folder.display(), releases.join(", "))]
    Several {
        /// The folder.
        folder: PathBuf,
        /// Which.
        releases: Vec<String>,
    },
    /// It holds a release of another major number.
    #[error("{} holds Kafka {release}, and Kafka {major} is needed", folder.display())]
    OtherRelease {
        /// The folder.
        folder: PathBuf,
        /// The release found.
        release: String,
        /// The major number of those that would do.
        major: String,
    },
}

impl Jars {
    pub(super) fn new(version: KafkaVersion, release: impl Into<String>, libs: PathBuf) -> Jars {
        Jars { version, release: release.into(), libs }
    }

    /// Those in a folder of jars, or in the `libs` of an unpacked Kafka distribution. They must be
    /// of the same major release as `like`, and are run as that is.
    ///
    /// # Errors
    /// When there is no such Kafka.
    pub fn in_folder(folder: &Path, like: KafkaVersion) -> Result<Jars, FolderError> {
        let unpacked = folder.join("libs");
        let libs = if unpacked.is_dir() { unpacked } else { folder.to_owned() };
        let names = names(&libs)
            .map_err(|source| FolderError::Unreadable { folder: folder.to_owned(), source })?;
        let mut releases: Vec<String> =
            names.iter().filter_map(|name| release_of(name, CLIENTS)).collect();
        releases.sort();
        let release = match releases.as_slice() {
            [] => return Err(FolderError::NotKafka { folder: folder.to_owned(), jar: CLIENTS }),
            [release] => release.clone(),
            _ => return Err(FolderError::Several { folder: folder.to_owned(), releases }),
        };
        for jar in NEEDED {
            if !names.iter().any(|name| release_of(name, jar).as_ref() == Some(&release)) {
                return Err(FolderError::NotKafka { folder: folder.to_owned(), jar });
            }
        }
        let major = major(like.number());
        if self::major(&release) != major {
            let (folder, major) = (folder.to_owned(), major.to_owned());
            return Err(FolderError::OtherRelease { folder, release, major });
        }
        Ok(Jars::new(like, release, libs))
    }

    /// The version that they are run as: for its settings and its logging.
    pub fn version(&self) -> KafkaVersion {
        self.version
    }

    /// The full release number, as it is in the names of the jars.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The Java class path of all of them.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.libs.display())
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        // A name that is not UTF-8 is none of Kafka's.
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// `4.3.1` of `kafka-clients-4.3.1.jar`, but nothing of `kafka-clients-4.3.1-sources.jar`.
fn release_of(name: &str, beginning: &str) -> Option<String> {
    let release = name.strip_prefix(beginning)?.strip_suffix(".jar")?;
    let is_number = release.chars().all(|one| one.is_ascii_digit() || one == '.');
    (is_number && !release.is_empty()).then(|| release.to_owned())
}

fn major(release: &str) -> &str {
    release.split('.').next().unwrap_or(release)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn folder(jars: &[&str]) -> Scratch {
        let scratch = Scratch::new("jars").unwrap();
        for jar in jars {
            fs::write(scratch.join(jar), "").unwrap();
        }
        scratch
    }

    fn refused(jars: &[&str]) -> String {
        let folder = folder(jars);
        Jars::in_folder(folder.path(), KafkaVersion::V4_3).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_of_jars_and_an_unpacked_kafka_will_do() {
        let jars = ["kafka-clients-4.1.0.jar", "kafka_2.13-4.1.0.jar", "connect-mirror-4.1.0.jar"];
        let flat = folder(&jars);
        fs::write(flat.join("kafka-clients-4.1.0-sources.jar"), "").unwrap();
        let found = Jars::in_folder(flat.path(), KafkaVersion::V4_3).unwrap();
        assert_eq!((found.release(), found.version()), ("4.1.0", KafkaVersion::V4_3));
        assert_eq!(found.class_path(), format!("{}/*", flat.path().display()));
        let unpacked = Scratch::new("jars").unwrap();
        fs::rename(flat.path(), unpacked.join("libs")).unwrap();
        let found = Jars::in_folder(unpacked.path(), KafkaVersion::V4_3).unwrap();
        assert_eq!(found.class_path(), format!("{}/libs/*", unpacked.path().display()));
    }

    #[test]
    fn a_folder_that_will_not_do_is_told_why() {
        let text = refused(&[]);
        assert!(text.contains("no kafka-clients-*.jar in it, or in its folder libs"), "{text}");
        let text = refused(&["kafka-clients-4.1.0.jar", "kafka_2.13-4.1.0.jar"]);
        assert!(text.contains("no connect-mirror-*.jar"), "{text}");
        let text = refused(&["kafka-clients-4.1.0.jar", "kafka-clients-3.9.1.jar"]);
        assert!(text.ends_with("holds several releases of Kafka: 3.9.1, 4.1.0"), "{text}");
        let old = ["kafka-clients-3.9.1.jar", "kafka_2.13-3.9.1.jar", "connect-mirror-3.9.1.jar"];
        let text = refused(&old);
        assert!(text.ends_with("holds Kafka 3.9.1, and Kafka 4 is needed"), "{text}");
        let nowhere = Jars::in_folder(Path::new("/no/such/folder"), KafkaVersion::V4_3);
        assert!(nowhere.unwrap_err().to_string().starts_with("cannot read /no/such/folder: "));
    }
}
