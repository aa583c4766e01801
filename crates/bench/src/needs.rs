//! What a bench needs of the machine: a Java, and Kafka's jars.

use std::path::Path;

use farlog_testkit::jars::{FetchError, FolderError, JarCache, Jars};
use farlog_testkit::java::{self, NoJava};

use crate::{JAVA_RELEASE_MIN, KAFKA};

/// What is missing.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// A Java that is new enough.
    #[error(transparent)]
    Java(#[from] NoJava),
    /// Kafka, in the folder that was named.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A folder for the jars that Maven would fetch.
    #[error("there is no cache folder to fetch Kafka into")]
    Cache,
    /// Kafka, which could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Finds Kafka's jars: in a folder of jars or an unpacked Kafka if one is named, else in a cache,
/// into which they are fetched if need be. `fetching` is told before that, for it takes a while.
///
/// # Errors
/// When anything is missing and cannot be had.
pub fn provide(
    folder: Option<&Path>,
    cache: Option<&Path>,
    fetching: impl FnOnce(&str),
) -> Result<Jars, Missing> {
    java::require(JAVA_RELEASE_MIN)?;
    if let Some(folder) = folder {
        return Ok(Jars::in_folder(folder, KAFKA)?);
    }
    let root = cache.ok_or(Missing::Cache)?;
    let cache = JarCache::new(root);
    if let Ok(jars) = cache.jars(KAFKA) {
        return Ok(jars);
    }
    fetching(&format!("fetching Kafka {KAFKA} (60 MB) through Maven into {}", root.display()));
    Ok(cache.fetch(KAFKA)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_folder_and_a_cache_there_is_no_kafka() {
        let missing = provide(None, None, |_| panic!("nothing is fetched")).unwrap_err();
        assert_eq!(missing.to_string(), "there is no cache folder to fetch Kafka into");
        let nowhere = provide(Some(Path::new("/no/such/folder")), None, |_| {}).unwrap_err();
        assert!(matches!(nowhere, Missing::Folder(_)), "{nowhere}");
    }
}
