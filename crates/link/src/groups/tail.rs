//! Reads `__consumer_offsets` of the source: what was committed, and then what is committed, within
//! milliseconds.
//!
//! The topic is compacted, so that its whole is what every group stands at. A partition is read to
//! its end first; only the last of each offset is handed on. Nothing of where the reading is, is
//! kept: who begins anew reads the whole again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use farlog_client::{Cluster, TopicSelection};
use farlog_wire::error_code::ErrorCode;
use farlog_wire::group_records::{CONSUMER_OFFSETS_TOPIC, OffsetKey};
use farlog_wire::records::batches;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::commits::{Change, Commits, CommitsError};
use crate::backoff::Backoff;
use crate::limits::{COMMITS_MEMORY_BYTES, GROUP_RETRY};
use crate::options::LinkOptions;
use crate::source::{Fetched, FetchedData, SourceEnd, SourceLanes, SourcePartition, SourceStream};
use crate::target::tail::{EARLIEST, Led, LogView};
use crate::topology::{Leader, LeaderError, Leaders};

/// How long to wait for a source that has no groups yet.
const NO_TOPIC_RETRY: Duration = Duration::from_secs(1);

const DENIED: &str = "the link's principal needs READ and DESCRIBE";

/// What a reader of one partition tells.
#[derive(Debug)]
pub(crate) enum Read {
    /// The last of each offset so far: the partition was read to its end.
    Whole(Vec<Change>),
    /// What was committed since.
    New(Vec<Change>),
    /// It may not be read, or not be understood.
    Impossible(String),
}

/// Why a reading ended.
enum Broken {
    /// For the moment.
    Interrupted(String),
    /// Waiting does not cure it.
    Impossible(String),
}

/// What the readers of all partitions share.
struct Shared {
    source: Cluster,
    leaders: Leaders,
    lanes: SourceLanes,
}

/// Reads all partitions for as long as it is polled.
pub(crate) async fn tail(options: LinkOptions, source: Cluster, tell: mpsc::Sender<Read>) {
    let options = LinkOptions {
        memory_bytes: COMMITS_MEMORY_BYTES,
        fetch_bytes_max: i32::try_from(COMMITS_MEMORY_BYTES / 4).unwrap_or(i32::MAX),
        rate_bytes_per_second: None,
        ..options
    };
    let partitions = partitions(&source, &tell).await;
    let lanes = SourceLanes::uncommitted(&options);
    let shared = Arc::new(Shared { source, leaders: Leaders::default(), lanes });
    let mut readers = JoinSet::new();
    for partition in partitions {
        readers.spawn(read(Arc::clone(&shared), partition, tell.clone()));
    }
    // A reader ends when nobody listens any more, or nothing can be read.
    while readers.join_next().await.is_some() {}
}

/// The partitions of the topic, as soon as it is there: the first group makes it. That it may not
/// be seen is told.
async fn partitions(source: &Cluster, tell: &mpsc::Sender<Read>) -> Vec<SourcePartition> {
    loop {
        match source.metadata(&TopicSelection::one(CONSUMER_OFFSETS_TOPIC)).await {
            Ok(metadata) => {
                if let Some(topic) = metadata.topic(CONSUMER_OFFSETS_TOPIC) {
                    let topic_id = topic.topic_id.unwrap_or_default();
                    let partition = |&partition: &i32| SourcePartition {
                        topic: CONSUMER_OFFSETS_TOPIC.to_owned(),
                        topic_id,
                        partition,
                    };
                    return topic.partitions.keys().map(partition).collect();
                }
                let hidden = metadata.topics.get(CONSUMER_OFFSETS_TOPIC);
                if hidden.is_some_and(|topic| topic.error == ErrorCode::TOPIC_AUTHORIZATION_FAILED)
                {
                    let why = format!("{CONSUMER_OFFSETS_TOPIC}: {DENIED}");
                    // Who no longer listens has reached its end.
                    let _ = tell.send(Read::Impossible(why)).await;
                    sleep(GROUP_RETRY).await;
                    continue;
                }
            }
            Err(error) => tracing::debug!(%error, "cannot look for {CONSUMER_OFFSETS_TOPIC}"),
        }
        sleep(NO_TOPIC_RETRY).await;
    }
}

/// Reads one partition, from its start again whenever that was interrupted.
async fn read(shared: Arc<Shared>, partition: SourcePartition, tell: mpsc::Sender<Read>) {
    let mut backoff = Backoff::new();
    while !tell.is_closed() {
        match read_once(&shared, &partition, &tell, &mut backoff).await {
            Broken::Interrupted(why) => {
                tracing::debug!(partition = partition.partition, why, "reading commits again");
                sleep(backoff.next()).await;
            }
            Broken::Impossible(why) => {
                let why = format!("{CONSUMER_OFFSETS_TOPIC}-{}: {why}", partition.partition);
                // Who no longer listens has reached its end.
                let _ = tell.send(Read::Impossible(why)).await;
                sleep(GROUP_RETRY).await;
            }
        }
    }
}

async fn read_once(
    shared: &Shared,
    partition: &SourcePartition,
    tell: &mpsc::Sender<Read>,
    backoff: &mut Backoff,
) -> Broken {
    let (led, begin, mut stream) = match subscribe(shared, partition).await {
        Ok(subscribed) => subscribed,
        Err(broken) => return broken,
    };
    let mut reading = Reading { position: begin, ..Reading::default() };
    loop {
        let fetched = match stream.next().await {
            Some(Fetched::Data(data)) => data,
            Some(Fetched::Ended(end)) => return ended(end),
            None => return Broken::Interrupted("the connection was closed".to_owned()),
        };
        // An answer without records may have had no room for them.
        let nothing_left = fetched.records.is_empty() && !reading.is_at_end && {
            match led.header_at(reading.position).await {
                Ok(header) => header.is_none(),
                Err(error) => return Broken::Interrupted(error.to_string()),
            }
        };
        let read = match reading.take(&fetched, nothing_left) {
            Ok(read) => read,
            Err(error) => return Broken::Impossible(error.to_string()),
        };
        backoff.reset();
        if let Some(read) = read
            && tell.send(read).await.is_err()
        {
            return Broken::Interrupted("nobody listens any more".to_owned());
        }
    }
}

async fn subscribe<'a>(
    shared: &'a Shared,
    partition: &'a SourcePartition,
) -> Result<(Led<'a>, i64, SourceStream), Broken> {
    let SourcePartition { topic, topic_id, partition: number } = partition;
    let found = shared.leaders.leader(&shared.source, topic, *topic_id, *number).await;
    let leader: Leader = found.map_err(|error| match error {
        LeaderError::Denied => denied(),
        LeaderError::None(why) => Broken::Interrupted(why),
        LeaderError::NoSuchTopic | LeaderError::OtherTopic { .. } => {
            Broken::Impossible("the topic was deleted".to_owned())
        }
    })?;
    let led = Led {
        cluster: &shared.source,
        leader: leader.broker,
        topic,
        topic_id: *topic_id,
        partition: *number,
    };
    let interrupted = |why: String| Broken::Interrupted(why);
    let begin = match led.offset(EARLIEST, LogView::Uncommitted).await {
        Err(error) if error.code() == Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
            return Err(denied());
        }
        begin => begin.map_err(|error| interrupted(error.to_string()))?,
    };
    let stream = shared.lanes.subscribe(&shared.source, partition, leader, begin, -1).await;
    Ok((led, begin, stream.map_err(|error| interrupted(error.to_string()))?))
}

fn ended(end: SourceEnd) -> Broken {
    match end {
        SourceEnd::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => denied(),
        SourceEnd::Malformed(why) => Broken::Impossible(why),
        end => Broken::Interrupted(format!("{end:?}")),
    }
}

fn denied() -> Broken {
    Broken::Impossible(DENIED.to_owned())
}

/// One reading of a partition, from its start on.
#[derive(Default)]
struct Reading {
    commits: Commits,
    /// Behind what was taken in.
    position: i64,
    /// The end of the partition when the reading began.
    end: Option<i64>,
    is_at_end: bool,
    /// The last of each offset, until the end is reached.
    latest: HashMap<OffsetKey, Change>,
}

impl Reading {
    fn take(
        &mut self,
        fetched: &FetchedData,
        nothing_left: bool,
    ) -> Result<Option<Read>, CommitsError> {
        let mut changes = Vec::new();
        for batch in batches(fetched.records.clone()) {
            let batch = batch?;
            self.position = self.position.max(batch.header.next_offset());
            changes.extend(self.commits.take(&batch)?);
        }
        if self.is_at_end {
            return Ok((!changes.is_empty()).then_some(Read::New(changes)));
        }
        let end = *self.end.get_or_insert(fetched.high_watermark);
        for change in changes {
            match self.latest.get_mut(&change.key) {
                Some(known) if known.at > change.at => {}
                Some(known) => *known = change,
                None => {
                    self.latest.insert(change.key.clone(), change);
                }
            }
        }
        if self.position < end && !nothing_left {
            return Ok(None);
        }
        self.is_at_end = true;
        Ok(Some(Read::Whole(std::mem::take(&mut self.latest).into_values().collect())))
    }
}
