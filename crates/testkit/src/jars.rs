//! Where Kafka's jars are: in a cache that Maven fills, which for tests is the workspace's
//! `target/kafka` (`cargo xtask fetch-kafka`), or in a folder that a person names.

mod fetch;
mod folder;

use std::fmt;
use std::path::{Path, PathBuf};

pub use fetch::FetchError;
pub use folder::{FolderError, Jars};

/// A release of Apache Kafka that tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KafkaVersion {
    /// 2.8.2: the oldest line that Farlog serves; ZooKeeper, no topic ids in Fetch.
    V2_8,
    /// 3.0.2: ZooKeeper as well.
    V3_0,
    /// 3.4.1: the first line of which most clusters of its age are KRaft ones; topic ids in Fetch.
    V3_4,
    /// 3.7.2: before the new transaction protocol.
    V3_7,
    /// 3.9.1: the last line that still speaks the oldest protocol versions.
    V3_9,
    /// 4.3.1: the newest release that is complete on Maven Central.
    V4_3,
}

impl KafkaVersion {
    /// Those that most tests run against, oldest first.
    pub const ALL: [KafkaVersion; 2] = [KafkaVersion::V3_9, KafkaVersion::V4_3];

    /// Older ones, oldest first: `cargo xtask soak --old-brokers` runs against each of them, and
    /// tests of a push against the first.
    pub const OLD: [KafkaVersion; 4] =
        [KafkaVersion::V2_8, KafkaVersion::V3_0, KafkaVersion::V3_4, KafkaVersion::V3_7];

    /// The full release number, as Maven Central spells it.
    pub fn number(self) -> &'static str {
        match self {
            KafkaVersion::V2_8 => "2.8.2",
            KafkaVersion::V3_0 => "3.0.2",
            KafkaVersion::V3_4 => "3.4.1",
            KafkaVersion::V3_7 => "3.7.2",
            KafkaVersion::V3_9 => "3.9.1",
            KafkaVersion::V4_3 => "4.3.1",
        }
    }

    /// Whether its clusters are kept together by ZooKeeper, not by controllers of their own: KRaft
    /// is for production since 3.3.
    pub fn has_zookeeper(self) -> bool {
        self < KafkaVersion::V3_4
    }

    /// Whether it logs by log4j 2, as it does since 4.0; by log4j 1 before.
    pub fn has_log4j2(self) -> bool {
        self >= KafkaVersion::V4_3
    }

    /// `target/kafka/<version>` in the workspace.
    pub fn directory(self) -> PathBuf {
        JarCache::of_workspace().directory(self)
    }

    /// The Java class path of all jars in the workspace.
    ///
    /// # Errors
    /// When the jars have not been fetched.
    pub fn class_path(self) -> Result<String, NotFetched> {
        Ok(JarCache::of_workspace().jars(self)?.class_path())
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

/// A folder with one folder for each release: its jars, and the `pom.xml` they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JarCache {
    root: PathBuf,
}

impl JarCache {
    /// The cache in this folder, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> JarCache {
        JarCache { root: root.into() }
    }

    /// That of the workspace this crate was built in: `target/kafka`.
    pub fn of_workspace() -> JarCache {
        JarCache::new(workspace().join("target/kafka"))
    }

    /// The folder of a release.
    pub fn directory(&self, version: KafkaVersion) -> PathBuf {
        self.root.join(version.number())
    }

    /// The jars of a release, if [`fetch`](Self::fetch) has brought them.
    ///
    /// # Errors
    /// When it has not.
    pub fn jars(&self, version: KafkaVersion) -> Result<Jars, NotFetched> {
        if self.marker(version).exists() {
            Ok(Jars::new(version, version.number(), self.libs(version)))
        } else {
            Err(NotFetched { version })
        }
    }

    /// The folder of the jars themselves.
    fn libs(&self, version: KafkaVersion) -> PathBuf {
        self.directory(version).join("libs")
    }

    /// The file whose presence says that the jars are complete; written last.
    fn marker(&self, version: KafkaVersion) -> PathBuf {
        self.directory(version).join("complete")
    }
}

/// The root of the workspace this crate was built in.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lives two directories below the workspace root")
}
