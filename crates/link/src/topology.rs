//! Who leads which partition, from a cluster's metadata, asked at most every so often.

use std::collections::HashMap;
use std::time::Duration;

use farlog_client::{Cluster, TopicSelection};
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
    asked_at: Instant,
}

/// What the last answer said, or why there was none and when.
type Known = Result<KnownTopic, (LeaderError, Instant)>;

/// The leaders of one cluster's partitions.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    topics: Mutex<HashMap<String, Known>>,
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
        let mut topics = self.topics.lock().await;
        let known_at = topics.get(topic).map(|known| match known {
            Ok(known) => known.asked_at,
            Err((_, asked_at)) => *asked_at,
        });
        if known_at.is_none_or(|asked_at| asked_at.elapsed() > METADATA_AGE_MAX) {
            let asked_at = Instant::now();
            let known = ask(cluster, topic).await.map_err(|error| (error, asked_at));
            topics.insert(topic.to_owned(), known);
        }
        match topics.get(topic) {
            Some(Ok(known)) if known.topic_id != topic_id => {
                Err(LeaderError::OtherTopic { topic_id: known.topic_id })
            }
            Some(Ok(known)) => {
                known.leaders.get(&partition).copied().ok_or_else(|| {
                    LeaderError::None(format!("{topic}-{partition} has no leader now"))
                })
            }
            Some(Err((error, _))) => Err(error.clone()),
            None => Err(LeaderError::NoSuchTopic),
        }
    }
}

async fn ask(cluster: &Cluster, topic: &str) -> Result<KnownTopic, LeaderError> {
    let asked_at = Instant::now();
    let metadata = cluster
        .metadata(&TopicSelection::one(topic))
        .await
        .map_err(|error| LeaderError::None(error.to_string()))?;
    let found = metadata.topics.get(topic).ok_or(LeaderError::NoSuchTopic)?;
    match found.error {
        ErrorCode::NONE => {}
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return Err(LeaderError::NoSuchTopic),
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => return Err(LeaderError::Denied),
        code => return Err(LeaderError::None(format!("metadata of {topic}: {code}"))),
    }
    let leaders = found
        .partitions
        .iter()
        .filter_map(|(&number, partition)| {
            let leader = Leader { broker: partition.leader?, epoch: partition.leader_epoch };
            Some((number, leader))
        })
        .collect();
    Ok(KnownTopic { topic_id: found.topic_id.unwrap_or_default(), leaders, asked_at })
}
