//! Where a mirror stands whose offsets are those of its source, and how it is brought to where it
//! begins: filled up to its first offset, which then becomes its log start (ADR 0011).

use farlog_client::{ProduceRequestBuilder, ProduceTopic, RequestError, TopicPartition};
use farlog_wire::error_code::ErrorCode;
use farlog_wire::records::{BatchError, Holes, OutgoingBatch, ProducerStamp, empty_batch};
use tokio::time::Instant;

use super::context::{LinkContext, MirrorPartition};
use super::recover::{start_offset, state_lost};
use super::stop::{Doubt, Interruption, Stop};
use crate::identity::PRODUCER_EPOCH;
use crate::ownership::LeaseVerdict;
use crate::position::{Position, sequence_at};
use crate::preserve::{Filler, SHED_FROM_OFFSETS, filler_counts};
use crate::state::{Fact, StateKey, StateValue};
use crate::status::PartitionState;
use crate::target::configs::{Overrides, override_configs};

/// While the filler's last record is written the log is to be rolled: Kafka's least segment size.
const SHEDDING: [(&str, &str); 1] = [("segment.bytes", "1048576")];

/// Records are deleted only where the policy allows it; retention is to delete nothing meanwhile.
const DELETABLE: [(&str, &str); 3] =
    [("cleanup.policy", "compact,delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];

/// The ends of a mirror's log, and its leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct MirrorLog {
    pub(super) leader: i32,
    pub(super) log_start: i64,
    pub(super) log_end: i64,
}

/// The position of a mirror that keeps offsets; `known` is what the state topic and the mirror
/// say, `start` where it was to begin. A mirror that does not yet reach its first offset is filled
/// up to it.
pub(super) async fn position(
    context: &LinkContext,
    mirror: &MirrorPartition,
    start: Option<Fact>,
    known: Option<Position>,
    log: MirrorLog,
) -> Result<Position, Interruption> {
    let start = match (known, start) {
        (Some(position), start) if position.source_offset == position.target_offset => {
            let first = start.map_or(0, |start| start.target_offset);
            if log.log_start < first {
                delete_filler(context, mirror, first).await?;
            }
            return Ok(position);
        }
        (Some(position), _) => return Err(translated(mirror, position).into()),
        (None, Some(start)) if start.target_offset > log.log_end => start,
        (None, None) if log.log_end == 0 => write_start(context, mirror).await?,
        (None, _) => return Err(state_lost(mirror, log.log_end).into()),
    };
    let first = start.target_offset;
    if first == 0 {
        return Ok(Position { target_offset: 0, source_offset: 0, source_leader_epoch: -1 });
    }
    fill(context, mirror, log, first).await?;
    let why = format!("the mirror was filled up to its first offset {first}");
    Err(Doubt { state: PartitionState::Recovering, why, unsettled: false }.into())
}

/// Writes down where the mirror is to begin: where the source's first records are.
async fn write_start(
    context: &LinkContext,
    mirror: &MirrorPartition,
) -> Result<Fact, Interruption> {
    let offset = start_offset(context, mirror).await?;
    // A compacted log may have its first records far behind its start.
    let led = mirror.source_led(context).await?;
    let first = led.header_at(offset).await.map_err(|error| Doubt::source(error.to_string()))?;
    let offset = first.map_or(offset, |first| first.base_offset.max(offset));
    let start =
        Fact { target_offset: offset, source_offset: offset, source_leader_epoch: -1, turn: 0 };
    let key = StateKey::Start(mirror.id.clone());
    let written = context.state.write(key, StateValue::Fact(start)).await;
    written.map_err(|error| Doubt::target(error.to_string()))?;
    Ok(start)
}

/// Appends filler up to `until`, one batch at a time, each of them by its sequence.
async fn fill(
    context: &LinkContext,
    mirror: &MirrorPartition,
    log: MirrorLog,
    until: i64,
) -> Result<(), Interruption> {
    // One partition at a time: it keeps a core of the broker busy.
    let _turn = context.priming.lock().await;
    let begun = Instant::now();
    let mut offset = log.log_end;
    if context.holes == Holes::Kept {
        // One offset without a record is enough of a log that ends there.
        let stamp = ProducerStamp {
            producer_id: context.producer_id,
            producer_epoch: PRODUCER_EPOCH,
            base_sequence: sequence_at(until - 1),
        };
        let batch = empty_batch(1, stamp).map_err(|error| unfilled(mirror, &error))?;
        append(context, mirror, log.leader, until - 1, batch.at(until - 1)).await?;
        return delete_filler(context, mirror, until).await;
    }
    tracing::info!(mirror = %mirror, from = offset, until, "filling up to the first offset");
    let mut filler = Filler::default();
    let mut small_segments = None;
    for count in filler_counts(offset, until) {
        if offset + count == until && until >= SHED_FROM_OFFSETS {
            small_segments = override_for(context, mirror, &SHEDDING).await;
        }
        let batch = filler.batch(offset, count, context.producer_id);
        let batch = batch.map_err(|error| unfilled(mirror, &error))?;
        let appended = append(context, mirror, log.leader, offset, batch).await;
        if appended.is_err() {
            restore(context, mirror, small_segments.take()).await;
        }
        appended?;
        offset += count;
    }
    restore(context, mirror, small_segments).await;
    delete_filler(context, mirror, until).await?;
    let took_ms = begun.elapsed().as_millis();
    tracing::info!(mirror = %mirror, until, took_ms, "filled up to the first offset");
    Ok(())
}

fn unfilled(mirror: &MirrorPartition, error: &BatchError) -> Stop {
    Stop::new(PartitionState::StoppedOffsets, format!("filler of {mirror}: {error}"))
}

async fn append(
    context: &LinkContext,
    mirror: &MirrorPartition,
    leader: i32,
    offset: i64,
    batch: OutgoingBatch,
) -> Result<(), Interruption> {
    match context.lease.allows(false) {
        LeaseVerdict::Granted => {}
        LeaseVerdict::Lost => return Err(Interruption::LeaseLost),
        LeaseVerdict::NotYet => {
            let why = "the lease of the instance before this one has not yet run out".to_owned();
            let state = PartitionState::Recovering;
            return Err(Doubt { state, why, unsettled: false }.into());
        }
    }
    let topic = ProduceTopic {
        name: mirror.target_topic.as_str().into(),
        id: Some(mirror.id.target_topic_id).filter(|id| !id.is_zero()),
    };
    let partition = mirror.source.partition;
    let connection = context
        .target_lanes
        .connection(&context.target, leader, partition)
        .await
        .map_err(|error| Doubt::target(error.to_string()))?;
    let size_bytes = batch.size_bytes();
    let mut request = ProduceRequestBuilder::new(context.produce_timeout());
    request.insert(&topic, partition, batch).map_err(|error| {
        Stop::new(PartitionState::StoppedRefused, format!("filler of {mirror}: {error}"))
    })?;
    let response = connection
        .produce(request)
        .await
        .map_err(|error| Doubt { unsettled: true, ..Doubt::target(error.to_string()) })?;
    let answer = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .find(|answer| answer.index == partition)
        .ok_or_else(|| Doubt::target("the produce answer does not name the partition"))?;
    let code = answer.error_code;
    if code != ErrorCode::NONE {
        let said = answer.error_message.as_deref();
        return Err(super::refusal::interruption(context, mirror, code, said, size_bytes).await);
    }
    if answer.base_offset != offset {
        // Reading the position finds out who wrote in between, and names it.
        let landed = answer.base_offset;
        let why = format!("filler landed at offset {landed} of {mirror} instead of {offset}");
        return Err(Doubt::target(why).into());
    }
    Ok(())
}

/// Makes `first` the mirror's log start.
async fn delete_filler(
    context: &LinkContext,
    mirror: &MirrorPartition,
    first: i64,
) -> Result<(), Interruption> {
    let place = TopicPartition::new(mirror.target_topic.as_str(), mirror.source.partition);
    let delete = || async {
        let mut deleted = context.target.delete_records([(place.clone(), first)]).await;
        deleted.remove(&place)
    };
    let mut deleted = delete().await;
    if let Some(Err(error)) = &deleted
        && code_of(error) == Some(ErrorCode::POLICY_VIOLATION)
    {
        // The topic is compacted and nothing else.
        let overrides = override_for(context, mirror, &DELETABLE).await;
        deleted = delete().await;
        restore(context, mirror, overrides).await;
    }
    match deleted {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) if code_of(&error) == Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
            let topic = &mirror.target_topic;
            let why = format!(
                "offsets: preserve fills mirror {mirror} up to its first offset {first} and \
                 deletes the filler, for which the link's principal needs DELETE on target topic \
                 {topic}"
            );
            Err(Stop::new(PartitionState::StoppedDenied, why).into())
        }
        Some(Err(error)) => Err(Doubt::target(error.to_string()).into()),
        None => Err(Doubt::target("the answer does not name the partition").into()),
    }
}

fn code_of(error: &RequestError) -> Option<ErrorCode> {
    match error {
        RequestError::Broker(error) => Some(error.code),
        _ => None,
    }
}

/// Sets configs of the mirror for a moment. Where that is not allowed, what needs them says so.
async fn override_for(
    context: &LinkContext,
    mirror: &MirrorPartition,
    configs: &[(&str, &str)],
) -> Option<Overrides> {
    match override_configs(&context.target, &mirror.target_topic, configs).await {
        Ok(overrides) => Some(overrides),
        Err(why) => {
            tracing::warn!(mirror = %mirror, why, "configs of the mirror cannot be altered");
            None
        }
    }
}

async fn restore(context: &LinkContext, mirror: &MirrorPartition, overrides: Option<Overrides>) {
    let Some(overrides) = overrides else { return };
    if let Err(why) = overrides.restore(&context.target).await {
        tracing::warn!(
            mirror = %mirror, why,
            "configs of the mirror that were altered for a moment could not be restored"
        );
    }
}

/// The mirror has other offsets than its source.
fn translated(mirror: &MirrorPartition, position: Position) -> Stop {
    let Position { target_offset, source_offset, .. } = position;
    Stop::new(
        PartitionState::StoppedOffsets,
        format!(
            "mirror {mirror} ends at offset {target_offset} and goes on with source offset \
             {source_offset}, so its offsets are not those of the source; set offsets: translate \
             for the link, or delete the mirror topic, which is then mirrored again with the \
             source's offsets"
        ),
    )
}
