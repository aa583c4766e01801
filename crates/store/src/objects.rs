//! Where objects are: a local directory, or a bucket. Everything is tried again for a while; that
//! a bucket is slow or says 503 is weather.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::limits::{OBJECT_ATTEMPTS_MAX, OBJECT_PAUSE_MAX, OBJECT_PAUSE_MIN};
use crate::segment::section::ObjectName;

const MANIFESTS: &str = "manifests";
const SEGMENTS: &str = "segments";

/// Where a store keeps what has left its write-ahead log.
#[derive(Clone, Debug)]
pub enum ObjectPlace {
    /// A directory of this machine; made if it is not there.
    Directory(PathBuf),
    /// Below a prefix of any object store that can create an object only if it is not there.
    Bucket {
        /// The bucket.
        store: Arc<dyn ObjectStore>,
        /// What all names begin with; two stores never share one.
        prefix: String,
    },
}

/// The place, opened.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// An object could not be had, or made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} object {object}: {source}")]
pub(crate) struct ObjectError {
    what: &'static str,
    object: Path,
    source: Error,
}

impl ObjectError {
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self.source, Error::NotFound { .. })
    }
}

impl Objects {
    /// # Errors
    /// What the system says if the directory cannot be made.
    pub(crate) fn open(place: &ObjectPlace, fsync: bool) -> Result<Self, String> {
        match place {
            ObjectPlace::Directory(directory) => {
                std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
                let store = LocalFileSystem::new_with_prefix(directory);
                let store = store.map_err(|error| error.to_string())?.with_fsync(fsync);
                Ok(Self { store: Arc::new(store), prefix: Path::default() })
            }
            ObjectPlace::Bucket { store, prefix } => {
                let prefix = Path::parse(prefix).map_err(|error| error.to_string())?;
                Ok(Self { store: Arc::clone(store), prefix })
            }
        }
    }

    fn path(&self, kind: &str, name: &str) -> Path {
        self.prefix.clone().join(kind).join(name)
    }

    fn manifest(&self, number: u64) -> Path {
        self.path(MANIFESTS, &format!("{number:016x}"))
    }

    fn segment(&self, ObjectName { epoch, number }: ObjectName) -> Path {
        self.path(SEGMENTS, &format!("{epoch:016x}-{number:016x}"))
    }

    /// Makes a manifest; `false` if there is one of this number.
    pub(crate) async fn create_manifest(
        &self,
        number: u64,
        bytes: Bytes,
    ) -> Result<bool, ObjectError> {
        let path = self.manifest(number);
        let create = || {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            self.store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options)
        };
        match retried("make", &path, create).await {
            Ok(_) => Ok(true),
            Err(ObjectError { source: Error::AlreadyExists { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn manifest_bytes(&self, number: u64) -> Result<Bytes, ObjectError> {
        let path = self.manifest(number);
        retried("read", &path, || async { self.store.get(&path).await?.bytes().await }).await
    }

    /// The numbers of all manifests, in order.
    pub(crate) async fn manifests(&self) -> Result<Vec<u64>, ObjectError> {
        let names = self.list(MANIFESTS).await?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| u64::from_str_radix(name, 16).ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) async fn delete_manifest(&self, number: u64) -> Result<(), ObjectError> {
        self.delete(self.manifest(number)).await
    }

    /// Makes a segment; nobody else ever chooses its name.
    pub(crate) async fn put_segment(
        &self,
        name: ObjectName,
        bytes: Bytes,
    ) -> Result<(), ObjectError> {
        let path = self.segment(name);
        let put = || self.store.put(&path, PutPayload::from_bytes(bytes.clone()));
        retried("write", &path, put).await.map(drop)
    }

    pub(crate) async fn segment_bytes(
        &self,
        name: ObjectName,
        range: Range<u64>,
    ) -> Result<Bytes, ObjectError> {
        let path = self.segment(name);
        retried("read", &path, || self.store.get_range(&path, range.clone())).await
    }

    pub(crate) async fn segments(&self) -> Result<Vec<ObjectName>, ObjectError> {
        let parse = |name: &String| {
            let (epoch, number) = name.split_once('-')?;
            let epoch = u64::from_str_radix(epoch, 16).ok()?;
            Some(ObjectName { epoch, number: u64::from_str_radix(number, 16).ok()? })
        };
        Ok(self.list(SEGMENTS).await?.iter().filter_map(parse).collect())
    }

    pub(crate) async fn delete_segment(&self, name: ObjectName) -> Result<(), ObjectError> {
        self.delete(self.segment(name)).await
    }

    async fn list(&self, kind: &str) -> Result<Vec<String>, ObjectError> {
        let prefix = self.prefix.clone().join(kind);
        let list = || async {
            let found: Vec<_> = self.store.list(Some(&prefix)).try_collect().await?;
            Ok(found)
        };
        let found = retried("list", &prefix, list).await?;
        Ok(found.iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect())
    }

    async fn delete(&self, path: Path) -> Result<(), ObjectError> {
        match retried("delete", &path, || self.store.delete(&path)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Tries something until it works, or an answer is final, or it was enough.
async fn retried<T, F>(
    what: &'static str,
    object: &Path,
    mut attempt: impl FnMut() -> F,
) -> Result<T, ObjectError>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = OBJECT_PAUSE_MIN;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let source = match attempt().await {
            Ok(done) => return Ok(done),
            Err(source) => source,
        };
        let is_final = !matches!(source, Error::Generic { .. } | Error::JoinError { .. });
        if is_final || attempts == OBJECT_ATTEMPTS_MAX {
            return Err(ObjectError { what, object: object.clone(), source });
        }
        tracing::debug!(%object, error = %source, attempts, "cannot {what}, will try again");
        tokio::time::sleep(pause).await;
        pause = longer(pause);
    }
}

/// How long to wait after having waited so long.
pub(crate) fn longer(pause: Duration) -> Duration {
    (pause * 2).min(OBJECT_PAUSE_MAX)
}
