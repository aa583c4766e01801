//! Where Kafka's jars are: `cargo xtask fetch-kafka` puts them there, the fixtures look there.

use std::fmt;
use std::path::{Path, PathBuf};

/// A release of Apache Kafka that tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KafkaVersion {
    /// 3.9.1: the last line that still speaks the oldest protocol versions.
    V3_9,
    /// 4.3.1: the newest release that is complete on Maven Central.
    V4_3,
}

impl KafkaVersion {
    /// Every version there is, oldest first.
    pub const ALL: [KafkaVersion; 2] = [KafkaVersion::V3_9, KafkaVersion::V4_3];

    /// The full release number, as Maven Central spells it.
    pub fn number(self) -> &'static str {
        match self {
            KafkaVersion::V3_9 => "3.9.1",
            KafkaVersion::V4_3 => "4.3.1",
        }
    }

    /// `target/kafka/<version>` in the workspace.
    pub fn directory(self) -> PathBuf {
        workspace().join("target/kafka").join(self.number())
    }

    /// The directory of the jars themselves.
    pub fn libs(self) -> PathBuf {
        self.directory().join("libs")
    }

    /// The file whose presence says that [`libs`](Self::libs) is complete; written last.
    pub fn marker(self) -> PathBuf {
        self.directory().join("complete")
    }

    /// The Java class path of all jars.
    ///
    /// # Errors
    /// When the jars have not been fetched.
    pub fn class_path(self) -> Result<String, NotFetched> {
        if self.marker().exists() {
            Ok(format!("{}/*", self.libs().display()))
        } else {
            Err(NotFetched { version: self })
        }
    }
}

impl fmt::Display for KafkaVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.number())
    }
}

/// The jars of a version are not there.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the jars of Kafka {version} are not there: run `cargo xtask fetch-kafka`")]
pub struct NotFetched {
    /// The version that was asked for.
    pub version: KafkaVersion,
}

/// The root of the workspace this crate was built in.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lives two directories below the workspace root")
}
