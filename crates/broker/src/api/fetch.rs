//! Fetch, versions 4 to 18.
//!
//! - KIP-227: sessions, in `fetch_sessions.rs`.
//! - KIP-98: isolation levels, aborted transactions. KIP-516: topics by id from version 13 on.
//! - KIP-595: a client that tells the epoch of its last record is told where its log diverges.
//! - KIP-74: the first partition with data is answered with one whole batch at least, even if that
//!   is larger than the limits.
//! - KIP-392: no other replica to prefer. Replicas do not fetch here: `replica_id` is refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest};
use farlog_wire::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, PartitionData,
};
use farlog_wire::{ErrorCode, VersionRange};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::RequestContext;
use super::access::Access;
use super::fetch_sessions::Entry;
use crate::limits::{FETCH_BYTES_MAX, FETCH_WAIT_MAX};
use crate::partition::{FetchIsolation, FetchedRecords, Partition};
use crate::security::acl::Operation;
use crate::security::quota::Counted;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 4, max: 18 };

/// From this version on topics are named by their ids.
const BY_ID: i16 = 13;

/// A partition that is asked for.
struct Wanted {
    entry: Entry,
    partition: Result<Arc<Partition>, ErrorCode>,
}

/// What one round over all partitions found.
struct Round {
    data: Vec<PartitionData>,
    bytes: usize,
    /// Waiting is over for other reasons than bytes: somebody must be told an error.
    is_urgent: bool,
}

pub(super) async fn handle(context: RequestContext, request: FetchRequest) -> FetchResponse {
    let replica = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
    if replica {
        return FetchResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            ..FetchResponse::default()
        };
    }
    let (broker, is_by_id) = (&context.broker, context.version >= BY_ID);
    let begun = broker.fetch_sessions.begin(&request, is_by_id, broker.clock.now_ms());
    let (mode, entries) = match begun {
        Ok(begun) => begun,
        Err(error_code) => return FetchResponse { error_code, ..FetchResponse::default() },
    };
    let isolation = match request.isolation_level {
        0 => FetchIsolation::ReadUncommitted,
        _ => FetchIsolation::ReadCommitted,
    };
    let bytes_max = usize::try_from(request.max_bytes.min(FETCH_BYTES_MAX)).unwrap_or(0);
    let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max);
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.min(FETCH_WAIT_MAX);
    let wanted = wanted(&context, &entries);
    let waiter = Arc::new(Notify::new());
    let round = loop {
        // Before the look, so that what arrives during it is not missed.
        for partition in wanted.iter().filter_map(|wanted| wanted.partition.as_ref().ok()) {
            partition.tell(&waiter);
        }
        let round = look(&wanted, bytes_max, isolation).await;
        if round.is_urgent || round.bytes >= bytes_min || wanted.is_empty() {
            break round;
        }
        if timeout_at(deadline, waiter.notified()).await.is_err() {
            break look(&wanted, bytes_max, isolation).await;
        }
    };
    let now_ms = broker.clock.now_ms();
    let (session_id, told) =
        broker.fetch_sessions.end(mode, &entries, &round.data, is_by_id, now_ms);
    let told =
        wanted.iter().zip(round.data).zip(told).filter_map(|(pair, told)| told.then_some(pair));
    FetchResponse {
        throttle_time_ms: context.throttle(Counted::Fetched, round.bytes),
        session_id,
        responses: grouped(told),
        ..FetchResponse::default()
    }
}

fn wanted(context: &RequestContext, entries: &[Entry]) -> Vec<Wanted> {
    let catalog = &context.broker.catalog;
    let access = Access::of(context);
    let check = |topic: &str| match &access {
        Some(access) if !access.topic(Operation::Read, topic) => {
            Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
        }
        _ => Ok(()),
    };
    let partition = |entry: &Entry| {
        let topic = if context.version >= BY_ID {
            let topic = catalog.topic_by_id(entry.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
            check(&topic.name)?;
            topic
        } else {
            check(&entry.topic)?;
            catalog.topic(&entry.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?
        };
        topic.partition(entry.asked.partition).cloned()
    };
    let wanted = |entry: &Entry| Wanted { partition: partition(entry), entry: entry.clone() };
    entries.iter().map(wanted).collect()
}

async fn look(wanted: &[Wanted], bytes_max: usize, isolation: FetchIsolation) -> Round {
    let mut round = Round { data: Vec::with_capacity(wanted.len()), bytes: 0, is_urgent: false };
    for wanted in wanted {
        let room = bytes_max.saturating_sub(round.bytes);
        let data = wanted.read(room, round.bytes == 0, isolation).await;
        round.bytes += data.records.as_ref().map_or(0, Bytes::len);
        round.is_urgent |=
            data.error_code != ErrorCode::NONE || data.diverging_epoch.end_offset >= 0;
        round.data.push(data);
    }
    round
}

impl Wanted {
    async fn read(&self, room: usize, is_first: bool, isolation: FetchIsolation) -> PartitionData {
        match self.try_read(room, is_first, isolation).await {
            Ok(data) => data,
            Err(error_code) => PartitionData {
                partition_index: self.entry.asked.partition,
                error_code,
                high_watermark: -1,
                last_stable_offset: -1,
                log_start_offset: -1,
                aborted_transactions: None,
                preferred_read_replica: -1,
                records: Some(Bytes::new()),
                ..PartitionData::default()
            },
        }
    }

    async fn try_read(
        &self,
        room: usize,
        is_first: bool,
        isolation: FetchIsolation,
    ) -> Result<PartitionData, ErrorCode> {
        let asked = &self.entry.asked;
        let partition = self.partition.as_ref().map_err(|&code| code)?;
        partition.check_leader_epoch(asked.current_leader_epoch)?;
        let diverging = diverging(partition, asked)?;
        let bytes_max = usize::try_from(asked.partition_max_bytes).unwrap_or(0).min(room);
        let fetched = match diverging {
            Some(_) => partition.fetch(partition.offsets().start, 0, false, isolation).await?,
            None => partition.fetch(asked.fetch_offset, bytes_max, is_first, isolation).await?,
        };
        let FetchedRecords {
            records, high_watermark, last_stable_offset, log_start_offset, ..
        } = fetched;
        let aborted = fetched.aborted.map(|aborted| {
            let told = aborted.into_iter().map(|aborted| AbortedTransaction {
                producer_id: aborted.producer_id,
                first_offset: aborted.first_offset,
            });
            told.collect()
        });
        Ok(PartitionData {
            partition_index: asked.partition,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            diverging_epoch: diverging.unwrap_or_default(),
            aborted_transactions: aborted,
            preferred_read_replica: -1,
            records: Some(records),
            ..PartitionData::default()
        })
    }
}

/// Whether the client's last record is another one than ours (KIP-595): then the largest epoch that
/// both can have, and where it ends here.
///
/// # Errors
/// `OFFSET_OUT_OF_RANGE` for an epoch that never was.
fn diverging(
    partition: &Partition,
    asked: &FetchPartition,
) -> Result<Option<EpochEndOffset>, ErrorCode> {
    if asked.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let end = partition.end_of_epoch(asked.last_fetched_epoch);
    let (epoch, end_offset) = end.ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
    let diverges = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
    Ok(diverges.then_some(EpochEndOffset { epoch, end_offset }))
}

fn grouped<'a>(
    told: impl Iterator<Item = (&'a Wanted, PartitionData)>,
) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    for (Wanted { entry, .. }, data) in told {
        match topics.last_mut() {
            Some(last) if last.topic == entry.topic && last.topic_id == entry.topic_id => {
                last.partitions.push(data);
            }
            _ => topics.push(FetchableTopicResponse {
                topic: entry.topic.clone(),
                topic_id: entry.topic_id,
                partitions: vec![data],
            }),
        }
    }
    topics
}
