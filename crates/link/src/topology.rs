//! Who leads which partition, from a cluster's metadata, asked at most every so often.

use std::collections::HashMap;
use std::time::Duration;

use farlog_client::{Cluster, TopicMetadata, TopicSelection};
use farlog_wire::error_code::ErrorCode;
use farlog_wire::primitives::Uuid;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Answers younger than this are shared: many partitions lose their leader at once.
const METADATA_AGE_MAX: Duration = Duration::from_millis(100);

/// The broker that leads a partition, and since which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) broker: i32,
    pub(crate) epoch: i32,
}

/// Why no leader is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaderError {
    /// The cluster has no topic of this name.
    NoSuchTopic,
    /// The cluster has another topic of this name.
    OtherTopic { topic_id: Uuid },
    /// The principal may not see the topic.
    Denied,
    /// There is none now, or the cluster cannot be asked.
    None(String),
}

#[derive(Debug)]
struct KnownTopic {
    topic_id: Uuid,
    leaders: HashMap<i32, Leader>,
}

/// What the last answer said of a topic.
type Known = Result<KnownTopic, LeaderError>;

/// The leaders of one cluster's partitions.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    known: Mutex<Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    topics: HashMap<String, Known>,
    asked_at: Option<Instant>,
}

impl Leaders {
    /// Who leads a partition now.
    pub(crate) async fn leader(
        &self,
        cluster: &Cluster,
        topic: &str,
        topic_id: Uuid,
        partition: i32,
    ) -> Result<Leader, LeaderError> {
        let mut known = self.known.lock().await;
        if known.asked_at.is_none_or(|asked_at| asked_at.elapsed() > METADATA_AGE_MAX) {
            // One question about all: many partitions ask at once, and a link may be far away.
            let asked_at = Instant::now();
            known.topics = ask(cluster, &TopicSelection::All).await?;
            known.asked_at = Some(asked_at);
        }
        if !known.topics.contains_key(topic) {
            // It may be hidden from us, which only a question about it tells.
            let told = ask(cluster, &TopicSelection::one(topic)).await?;
            known.topics.extend(told);
        }
        match known.topics.get(topic) {
            Some(Ok(found)) if found.topic_id != topic_id => {
                Err(LeaderError::OtherTopic { topic_id: found.topic_id })
            }
            Some(Ok(found)) => {
                found.leaders.get(&partition).copied().ok_or_else(|| {
                    LeaderError::None(format!("{topic}-{partition} has no leader now"))
                })
            }
            Some(Err(error)) => Err(error.clone()),
            None => Err(LeaderError::NoSuchTopic),
        }
    }
}

async fn ask(
    cluster: &Cluster,
    topics: &TopicSelection,
) -> Result<HashMap<String, Known>, LeaderError> {
    let metadata =
        cluster.metadata(topics).await.map_err(|error| LeaderError::None(error.to_string()))?;
    Ok(metadata.topics.into_iter().map(|(name, topic)| (name, known(topic))).collect())
}

fn known(topic: TopicMetadata) -> Known {
    match topic.error {
        ErrorCode::NONE => {}
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return Err(LeaderError::NoSuchTopic),
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => return Err(LeaderError::Denied),
        code => return Err(LeaderError::None(format!("metadata of {}: {code}", topic.name))),
    }
    let leaders = topic.partitions.iter().filter_map(|(&number, partition)| {
        let leader = Leader { broker: partition.leader?, epoch: partition.leader_epoch };
        Some((number, leader))
    });
    Ok(KnownTopic { topic_id: topic.topic_id.unwrap_or_default(), leaders: leaders.collect() })
}
