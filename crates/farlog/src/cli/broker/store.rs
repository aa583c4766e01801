//! Where `farlog broker` keeps its records.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use farlog_store::{BucketError, ObjectPlace, OpenError, RecoveredLog, Store, StoreOptions};

use crate::app::embedded::tell_recovery;
use crate::cli::Outcome;

/// Arguments that say where records are kept.
#[derive(Debug, Args)]
pub struct StoreArguments {
    /// Where records are kept; without it, and without --bucket, they end with the process.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
    /// Acknowledge when the system has the records, not when the disk has them: they survive a
    /// kill of the process, but not of the machine. Kafka's default is the same.
    #[arg(long, requires = "data")]
    pub no_fsync: bool,
    /// Where records are moved from the log: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,
    /// az://CONTAINER/PREFIX or file:///DIRECTORY. Each broker needs a prefix of its own.
    ///
    /// Region, credentials and endpoint come from the environment (AWS_…, GOOGLE_…, AZURE_…) or
    /// --bucket-option.
    #[arg(long, value_name = "URL")]
    pub bucket: Option<String>,
    /// Where the log is that records are written to first: in --data, or in the bucket as well, so
    /// that a broker started anywhere goes on where another one ended. Whoever starts last has it.
    #[arg(long, value_name = "PLACE", value_enum, default_value_t = Wal::Local)]
    #[arg(requires_if("object", "bucket"))]
    pub wal: Wal,
    /// With --wal object: time between two writes to the bucket, unless very much waits. Shorter
    /// costs more requests, longer makes acknowledgements wait.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub wal_interval_ms: u64,
    /// A setting of the bucket's client, by its name in the environment: for instance
    /// AWS_ENDPOINT=http://127.0.0.1:9000; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "bucket", value_parser = pair)]
    pub bucket_option: Vec<(String, String)>,
}

/// Where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wal {
    /// In files of --data.
    Local,
    /// In the bucket.
    Object,
}

/// A directory for copies of what is in the bucket, deleted with this.
#[derive(Debug)]
pub(super) struct Scratch(Option<PathBuf>);

impl Drop for Scratch {
    fn drop(&mut self) {
        let Some(directory) = &self.0 else { return };
        if let Err(error) = std::fs::remove_dir_all(directory) {
            tracing::warn!(%error, "cannot delete {}", directory.display());
        }
    }
}

/// A store and what was found there.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) recovered: Vec<RecoveredLog>,
    pub(super) scratch: Scratch,
}

/// The records cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreUnusable {
    #[error("--bucket: {0}")]
    Bucket(#[from] BucketError),
    #[error("--bucket needs --data for the log, or --wal object to have it in the bucket, too")]
    NoPlaceForLog,
    #[error("no directory for copies of the log: {0}")]
    Scratch(std::io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl StoreUnusable {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Bucket(_) | Self::NoPlaceForLog => Outcome::Usage,
            Self::Scratch(_) | Self::Open(_) => Outcome::Machine,
        }
    }
}

impl StoreArguments {
    /// Opens the store and says what was found there.
    ///
    /// # Errors
    /// If the address of the bucket is wrong, or the store cannot be opened.
    pub(super) async fn open(&self) -> Result<Opened, StoreUnusable> {
        let mut scratch = Scratch(None);
        let Some(options) = self.options(&mut scratch)? else {
            let (store, recovered) = (Store::in_memory(), Vec::new());
            return Ok(Opened { store, recovered, scratch });
        };
        let (store, found) = Store::open(options).await?;
        tell_recovery(&found, &self.place());
        Ok(Opened { store, recovered: found.logs, scratch })
    }

    /// `None` for a store in memory.
    fn options(&self, scratch: &mut Scratch) -> Result<Option<StoreOptions>, StoreUnusable> {
        let bucket = self.bucket.as_ref().map(|address| {
            let given = self.bucket_option.iter().cloned();
            ObjectPlace::from_address(address, std::env::vars(), given)
        });
        let fsync = !self.no_fsync;
        Ok(match (bucket.transpose()?, &self.data) {
            (None, None) => None,
            (None, Some(data)) => Some(StoreOptions { fsync, ..StoreOptions::new(data) }),
            (Some(objects), data) if self.wal == Wal::Object => {
                let directory = data.clone().map_or_else(|| new_directory(scratch), Ok);
                let directory = directory.map_err(StoreUnusable::Scratch)?;
                let interval = Duration::from_millis(self.wal_interval_ms);
                Some(StoreOptions::in_bucket(directory, objects, interval))
            }
            (Some(_), None) => return Err(StoreUnusable::NoPlaceForLog),
            (Some(objects), Some(data)) => {
                Some(StoreOptions { fsync, objects, ..StoreOptions::new(data) })
            }
        })
    }

    /// Where records are, for people.
    pub(super) fn place(&self) -> String {
        match (&self.data, &self.bucket) {
            (_, Some(bucket)) if self.wal == Wal::Object => format!("records are in {bucket}"),
            (Some(data), Some(bucket)) => {
                format!("records are in {bucket}, the newest ones in {}", data.display())
            }
            (Some(data), None) => format!("records are in {}", data.display()),
            (None, _) => "records are kept in memory only".to_owned(),
        }
    }
}

/// Makes a directory that nobody else has.
fn new_directory(scratch: &mut Scratch) -> std::io::Result<PathBuf> {
    for attempt in 0_u32.. {
        let name = format!("farlog-broker-{}-{attempt}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match std::fs::create_dir(&directory) {
            Ok(()) => {
                scratch.0 = Some(directory.clone());
                return Ok(directory);
            }
            // Of a process that had this number before, and was killed.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or_else(|| format!("{text} is not NAME=VALUE"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}
