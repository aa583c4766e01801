//! What an owner does before it mirrors: read the state, decide the producer id.

use std::sync::Arc;

use farlog_client::admin::ConfigResource;
use farlog_client::{Cluster, RequestError, TopicSelection};
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;

use farlog_wire::records::{BufferPool, Holes};
use tokio::time::Instant;

use super::preservable::{PreserveError, check_preservable};
use crate::apply::{InternalTopicError, ensure_internal_topic};
use crate::clock::Clock;
use crate::identity::{ClusterCode, LinkCode, TaggedId};
use crate::limits::{ENTRIES_KEPT_MAX, MERGE_BUFFER_BYTES_MAX, STATE_PARTITIONS};
use crate::offsets::LiveMaps;
use crate::options::{LinkOptions, Offsets, ProducerIds};
use crate::ownership::Lease;
use crate::partition::LinkContext;
use crate::pipeline::Freshness;
use crate::source::SourceLanes;
use crate::state::{
    Claim, Journal, StateKey, StatePlace, StateReadError, StateStore, StateValue, StateWriteError,
};
use crate::target::lanes::TargetLanes;
use crate::topology::Leaders;

/// The compacted topic of a target cluster that holds what its links remember.
pub(crate) const STATE_TOPIC: &str = "__farlog_state";

/// Why an owner cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    InternalTopic(#[from] InternalTopicError),
    #[error("internal topic {0} is not there yet")]
    NotYet(&'static str),
    #[error(transparent)]
    Preserve(#[from] PreserveError),
    #[error(transparent)]
    Read(#[from] StateReadError),
    #[error(transparent)]
    Write(#[from] StateWriteError),
}

/// What is given to an owner.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) options: LinkOptions,
    pub(crate) clock: Clock,
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) claim: Claim,
    pub(crate) lease: Lease,
}

/// Gathers what the partitions share, and the task that writes the state.
pub(crate) async fn set_up(
    setup: Setup,
) -> Result<(Arc<LinkContext>, impl Future<Output = ()> + Send + use<>), SetupError> {
    let Setup { options, clock, source, target, claim, lease } = setup;
    let target_leaders = Leaders::default();
    let place = state_place(&target, &options).await?;
    let holes = match options.offsets {
        Offsets::Translate => Holes::default(),
        Offsets::Preserve => check_preservable(&target).await?,
    };
    let read_at = Instant::now();
    let read = place.read(&target, &target_leaders, &options.name, usize::MAX).await?;
    let mut journal = Journal::new(ENTRIES_KEPT_MAX);
    journal.learn(&read);
    let maps = LiveMaps::new();
    maps.remember(read);
    let registered = journal.producer_id();
    let is_new = options.static_instance && journal.is_blank_but_for(claim);
    let (state, writing) = StateStore::new(target.clone(), place.clone(), clock.clone(), journal);
    // These are written before the writer runs on its own.
    let mut writing = Box::pin(writing);
    let prepare = async {
        let is_first = is_new && {
            // Who finds but his own note is the first: of two that begin at once, at least one
            // finds the other's.
            let key = StateKey::Began { link: options.name.clone(), claim };
            state.write(key, StateValue::Began(clock.now_ms())).await?;
            let known = place.read(&target, &target_leaders, &options.name, ENTRIES_KEPT_MAX);
            known.await?.is_blank_but_for(claim)
        };
        let read = || place.read(&target, &target_leaders, &options.name, ENTRIES_KEPT_MAX);
        let id = producer_id(&options, &source, &target, registered, &state, read).await?;
        Ok::<_, SetupError>((is_first, id))
    };
    let (is_first, producer_id) = tokio::select! {
        prepared = prepare => prepared?,
        () = &mut writing => return Err(StateWriteError::Ended.into()),
    };
    let lease = if is_first { lease.without_predecessor() } else { lease };
    let freshness = freshness(&options, &target).await;
    let context = LinkContext {
        target_code: ClusterCode::of(target.cluster_id()),
        source_lanes: SourceLanes::new(&options),
        target_lanes: TargetLanes::new(options.session_timeout),
        merge_buffers: BufferPool::new(options.merge_buffers_kept_max(), MERGE_BUFFER_BYTES_MAX),
        source_leaders: Leaders::default(),
        target_leaders,
        state_place: place,
        state_read_at: tokio::sync::Mutex::new(read_at),
        options,
        clock,
        source,
        target,
        state,
        maps,
        producer_id,
        holes,
        priming: tokio::sync::Mutex::new(()),
        freshness,
        claim,
        lease,
    };
    Ok((Arc::new(context), writing))
}

async fn state_place(target: &Cluster, options: &LinkOptions) -> Result<StatePlace, SetupError> {
    let find = || async {
        let metadata = target.metadata(&TopicSelection::one(STATE_TOPIC)).await?;
        let found = metadata.topic(STATE_TOPIC).map(|topic| {
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let topic_id = topic.topic_id.unwrap_or_default();
            StatePlace::of(&options.name, STATE_TOPIC.to_owned(), topic_id, partitions)
        });
        Ok::<_, RequestError>(found)
    };
    if let Some(place) = find().await? {
        return Ok(place);
    }
    let factor = options.replication_factor;
    ensure_internal_topic(target, STATE_TOPIC, STATE_PARTITIONS, factor).await?;
    find().await?.ok_or(SetupError::NotYet(STATE_TOPIC))
}

async fn producer_id<R: Future<Output = Result<Journal, StateReadError>>>(
    options: &LinkOptions,
    source: &Cluster,
    target: &Cluster,
    registered: Option<i64>,
    state: &StateStore,
    read_again: impl FnOnce() -> R,
) -> Result<i64, SetupError> {
    let tagged = match options.producer_ids {
        ProducerIds::Tagged => true,
        ProducerIds::Allocated => false,
        ProducerIds::Auto => is_apache_kafka(target).await?,
    };
    if tagged {
        let link = LinkCode::of(source.cluster_id(), target.cluster_id(), &options.name);
        let birth = ClusterCode::of(source.cluster_id());
        return Ok(TaggedId { birth, link }.producer_id());
    }
    if let Some(id) = registered {
        return Ok(id);
    }
    let allocated = target.init_producer_id().await?;
    let key = StateKey::ProducerId { link: options.name.clone() };
    state.write(key.clone(), StateValue::ProducerId(allocated.producer_id)).await?;
    // Of two that register at once the first one's counts; it must also be the one that the
    // cleaner leaves, which is the last.
    let first = read_again().await?.producer_id().unwrap_or(allocated.producer_id);
    if first != allocated.producer_id {
        state.write(key, StateValue::ProducerId(first)).await?;
    }
    Ok(first)
}

/// Whether the target is known to be Apache Kafka: brokers in KRaft mode tell the level of their
/// metadata (KIP-584), which its look-alikes do not have.
pub(super) async fn is_apache_kafka(target: &Cluster) -> Result<bool, RequestError> {
    let request = ApiVersionsRequest {
        client_software_name: "farlog".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let response = target.send_any(&request).await?;
    Ok(response.finalized_features.iter().any(|feature| feature.name == "metadata.version"))
}

/// For how long the target remembers a producer id. Where nobody says, it is never relied on.
async fn freshness(options: &LinkOptions, target: &Cluster) -> Freshness {
    const CONFIG: &str = "producer.id.expiration.ms";
    // Before Kafka 3.4 (KIP-854) one setting was for both.
    const CONFIG_BEFORE: &str = "transactional.id.expiration.ms";
    if let Some(expiration_ms) = options.producer_id_expiration_ms {
        return Freshness::from_expiration_ms(expiration_ms);
    }
    let brokers: Vec<ConfigResource> = match target.metadata(&TopicSelection::None).await {
        Ok(metadata) => metadata.brokers.keys().map(|&id| ConfigResource::broker(id)).collect(),
        Err(_) => Vec::new(),
    };
    let described = match target.describe_configs(&brokers).await {
        Ok(described) => described,
        Err(error) => {
            tracing::warn!(
                link = options.name, %error,
                "{CONFIG} of the target cannot be read; batches go one at a time"
            );
            return Freshness::from_expiration_ms(0);
        }
    };
    let values = described.values().map(|entries| {
        let entries = entries.as_ref().ok()?;
        let entry = entries.get(CONFIG).or_else(|| entries.get(CONFIG_BEFORE))?;
        entry.value.as_ref()?.parse::<i64>().ok()
    });
    // The least of all brokers: any of them may lead next.
    let least = values.collect::<Option<Vec<i64>>>().and_then(|all| all.into_iter().min());
    let Some(expiration_ms) = least else {
        tracing::warn!(
            link = options.name,
            "{CONFIG} of the target may not be read (DESCRIBE_CONFIGS on the cluster is needed); \
             batches go one at a time unless producer-id-expiration is set"
        );
        return Freshness::from_expiration_ms(0);
    };
    Freshness::from_expiration_ms(expiration_ms)
}

impl SetupError {
    /// Whether waiting may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Request(_) | Self::NotYet(_) | Self::Write(_) => true,
            Self::Preserve(error) => error.is_transient(),
            Self::Read(error) => error.is_transient(),
            Self::InternalTopic(error) => error.is_transient(),
        }
    }
}
