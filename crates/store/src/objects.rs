//! Where objects are: a local directory, or a bucket. Everything is tried again for a while; that
//! a bucket is slow or says 503 is weather.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};

use crate::buffers::Buffers;
use crate::limits::{OBJECT_ATTEMPTS_MAX, OBJECT_PAUSE_MAX, OBJECT_PAUSE_MIN, WRITE_BYTES};
use crate::segment::section::ObjectName;

const MANIFESTS: &str = "manifests";
const SEGMENTS: &str = "segments";
const CHUNKS: &str = "log";

/// Where a store keeps what has left its write-ahead log.
#[derive(Clone, Debug)]
pub enum ObjectPlace {
    /// A directory of this machine; made if it is not there.
    Directory(PathBuf),
    /// Below a prefix of any object store that can create an object only if it is not there.
    Bucket {
        /// The bucket.
        store: Arc<dyn ObjectStore>,
        /// The same for the write-ahead log, which has a runtime of its own: a client whose
        /// connections belong to the other one would wait for it.
        log_store: Arc<dyn ObjectStore>,
        /// What all names begin with; two stores never share one.
        prefix: String,
    },
}

/// The place, opened.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Of all objects, if they are files of this machine.
    directory: Option<Arc<std::path::Path>>,
}

/// What became of an object that can be made once.
#[derive(Debug)]
pub(crate) enum Made {
    /// It is as it should be, though an earlier attempt may have made it.
    Ours,
    /// Somebody else has made another one.
    Theirs(Bytes),
}

/// A chunk of a write-ahead log as it is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedChunk {
    pub(crate) number: u64,
    pub(crate) size_bytes: u64,
}

/// An object could not be had, or made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} object {object}: {source}")]
pub(crate) struct ObjectError {
    what: &'static str,
    object: Path,
    source: Error,
}

impl ObjectPlace {
    /// A bucket whose client does not care which runtime it is used in.
    pub fn bucket(store: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Self {
        Self::Bucket { log_store: Arc::clone(&store), store, prefix: prefix.into() }
    }
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
        Self::opened(place, fsync, false)
    }

    /// The same, for the write-ahead log and its own runtime.
    ///
    /// # Errors
    /// What the system says if the directory cannot be made.
    pub(crate) fn open_for_log(place: &ObjectPlace, fsync: bool) -> Result<Self, String> {
        Self::opened(place, fsync, true)
    }

    fn opened(place: &ObjectPlace, fsync: bool, for_log: bool) -> Result<Self, String> {
        match place {
            ObjectPlace::Directory(directory) => {
                std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
                let store = LocalFileSystem::new_with_prefix(directory);
                let store = store.map_err(|error| error.to_string())?.with_fsync(fsync);
                let directory = Some(Arc::from(directory.as_path()));
                Ok(Self { store: Arc::new(store), prefix: Path::default(), directory })
            }
            ObjectPlace::Bucket { store, log_store, prefix } => {
                let store = if for_log { log_store } else { store };
                let prefix = Path::parse(prefix).map_err(|error| error.to_string())?;
                Ok(Self { store: Arc::clone(store), prefix, directory: None })
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

    fn chunk(&self, number: u64) -> Path {
        self.path(CHUNKS, &format!("{number:016x}"))
    }

    /// Makes a manifest, unless there is one of this number.
    pub(crate) async fn create_manifest(
        &self,
        number: u64,
        bytes: Bytes,
    ) -> Result<Made, ObjectError> {
        let path = self.manifest(number);
        retried("make", &path, || self.create(&path, bytes.clone())).await
    }

    /// Makes a chunk of the write-ahead log, unless there is one of this number. Tried once.
    pub(crate) async fn create_chunk(
        &self,
        number: u64,
        bytes: Bytes,
    ) -> Result<Made, ObjectError> {
        let object = self.chunk(number);
        let made = self.create(&object, bytes).await;
        made.map_err(|source| ObjectError { what: "make", object, source })
    }

    /// As [`create_chunk`](Self::create_chunk), tried again for a while.
    pub(crate) async fn create_chunk_patiently(
        &self,
        number: u64,
        bytes: Bytes,
    ) -> Result<Made, ObjectError> {
        let path = self.chunk(number);
        retried("make", &path, || self.create(&path, bytes.clone())).await
    }

    /// An attempt that seemed to fail may have succeeded, and the client may have made several of
    /// them by itself: what is there already is ours if it is the same.
    async fn create(&self, path: &Path, bytes: Bytes) -> Result<Made, Error> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(path, PutPayload::from_bytes(bytes.clone()), options).await {
            Ok(_) => Ok(Made::Ours),
            Err(Error::AlreadyExists { .. }) => {
                let there = self.store.get(path).await?.bytes().await?;
                Ok(if there == bytes { Made::Ours } else { Made::Theirs(there) })
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn chunk_bytes(&self, number: u64) -> Result<Bytes, ObjectError> {
        let path = self.chunk(number);
        retried("read", &path, || async { self.store.get(&path).await?.bytes().await }).await
    }

    /// All chunks from this one on, in order.
    pub(crate) async fn chunks(&self, first: u64) -> Result<Vec<ListedChunk>, ObjectError> {
        let after = first.checked_sub(1).map(|number| self.chunk(number));
        let mut chunks: Vec<ListedChunk> = Vec::new();
        for meta in self.list_after(CHUNKS, after.as_ref()).await? {
            let number = meta.location.filename().map(|name| u64::from_str_radix(name, 16));
            if let Some(Ok(number)) = number {
                chunks.push(ListedChunk { number, size_bytes: meta.size });
            }
        }
        chunks.sort_unstable_by_key(|chunk| chunk.number);
        Ok(chunks)
    }

    /// Deletes chunks; those that are not there are no error.
    pub(crate) async fn delete_chunks(
        &self,
        numbers: impl Iterator<Item = u64>,
    ) -> Result<(), ObjectError> {
        let paths: Vec<Path> = numbers.map(|number| self.chunk(number)).collect();
        let delete = || async {
            let paths = futures_util::stream::iter(paths.clone()).map(Ok).boxed();
            let mut deleted = self.store.delete_stream(paths);
            while let Some(outcome) = deleted.next().await {
                match outcome {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        retried("delete", &self.prefix.clone().join(CHUNKS), delete).await
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

    /// The number of the newest manifest after this one, if there is any.
    pub(crate) async fn manifest_after(&self, number: u64) -> Result<Option<u64>, ObjectError> {
        let listed = self.list_after(MANIFESTS, Some(&self.manifest(number))).await?;
        let names = listed.iter().filter_map(|meta| meta.location.filename());
        Ok(names.filter_map(|name| u64::from_str_radix(name, 16).ok()).max())
    }

    /// Whether there is a manifest of this number.
    pub(crate) async fn has_manifest(&self, number: u64) -> Result<bool, ObjectError> {
        let path = self.manifest(number);
        match retried("look for", &path, || self.store.head(&path)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
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
        let payload: PutPayload = match &self.directory {
            // Each piece is a write of its own.
            Some(_) => pieces(&bytes).collect(),
            None => bytes.into(),
        };
        let put = || self.store.put(&path, payload.clone());
        retried("write", &path, put).await.map(drop)
    }

    /// A part of a segment, all of it.
    pub(crate) async fn segment_bytes(
        &self,
        name: ObjectName,
        range: Range<u64>,
        buffers: &Buffers,
    ) -> Result<Bytes, ObjectError> {
        let path = self.segment(name);
        let Some(directory) = &self.directory else {
            return retried("read", &path, || self.store.get_range(&path, range.clone())).await;
        };
        let file = directory.join(path.as_ref());
        retried("read", &path, || read_file(file.clone(), range.clone(), buffers.clone())).await
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
        let found = self.list_after(kind, None).await?;
        Ok(found.iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect())
    }

    async fn list_after(
        &self,
        kind: &str,
        after: Option<&Path>,
    ) -> Result<Vec<ObjectMeta>, ObjectError> {
        let prefix = self.prefix.clone().join(kind);
        let list = || async {
            let found = match after {
                Some(after) => self.store.list_with_offset(Some(&prefix), after),
                None => self.store.list(Some(&prefix)),
            };
            found.try_collect::<Vec<_>>().await
        };
        let mut found = retried("list", &prefix, list).await?;
        // Not everything that speaks S3 knows how to begin in the middle.
        found.retain(|meta| after.is_none_or(|after| meta.location > *after));
        Ok(found)
    }

    async fn delete(&self, path: Path) -> Result<(), ObjectError> {
        match retried("delete", &path, || self.store.delete(&path)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// All of it, in order, without copying.
fn pieces(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    let begins = (0..bytes.len()).step_by(WRITE_BYTES);
    begins.map(|begin| bytes.slice(begin..bytes.len().min(begin + WRITE_BYTES)))
}

/// What the client for directories does, without memory that is cleared for each read.
async fn read_file(file: PathBuf, range: Range<u64>, buffers: Buffers) -> Result<Bytes, Error> {
    let path = file.display().to_string();
    let reading = tokio::task::spawn_blocking(move || {
        let file = File::open(file)?;
        let wanted = usize::try_from(range.end - range.start).unwrap_or(0);
        let mut buffer = buffers.take(wanted);
        file.read_exact_at(&mut buffer[..wanted], range.start)?;
        Ok(buffer.freeze(..wanted))
    });
    reading.await.map_err(|source| Error::JoinError { source })?.map_err(|error: io::Error| {
        let source = Box::new(error);
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotFound { path, source },
            _ => Error::Generic { store: "directory", source },
        }
    })
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
