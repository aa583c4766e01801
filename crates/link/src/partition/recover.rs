//! Reading a partition's position from the target before anything is sent.

use farlog_wire::error_code::ErrorCode;
use tokio::time::sleep;

use super::context::{LinkContext, MirrorPartition};
use super::prime;
use super::stop::{Doubt, Interruption, Stop};
use crate::limits::SETTLE_INTERVAL;
use crate::options::{Offsets, Start};
use crate::position::{
    Candidate, Foreign, Position, Seen, candidates, check_tail, judge, sequence_at,
};
use crate::state::{Fact, MirrorFacts, StateKey, StateValue};
use crate::status::PartitionState;
use crate::target::tail::{AskError, EARLIEST, LATEST, Led, LogView};

/// A position, and how sure the target is to remember our producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) position: Position,
    /// The target's log start.
    pub(crate) log_start: i64,
    /// Newest timestamp of our producer id, if the target remembers it.
    pub(crate) last_timestamp_ms: Option<i64>,
}

/// Reads the position of `mirror` from its leader at the target. `expected` is where the mirror
/// ends by what this instance knows, if it has mirrored to it before.
pub(crate) async fn recover(
    context: &LinkContext,
    mirror: &MirrorPartition,
    leader: i32,
    unsettled: bool,
    expected: Option<i64>,
) -> Result<Recovered, Interruption> {
    let led = mirror.led_by(context, leader);
    let log_end = settled_log_end(&led, unsettled).await?;
    let ask = |error| target_error(mirror, &error);
    let log_start = led.offset(EARLIEST, LogView::Uncommitted).await.map_err(ask)?;
    if log_end > log_start
        && let Some(last) = led.header_at(log_end - 1).await.map_err(ask)?
    {
        check_tail(&last, context.producer_id)
            .map_err(|foreign| Interruption::Stop(foreign_stop(mirror, foreign)))?;
    }
    let last_timestamp_ms = last_timestamp(context, mirror, &led, log_end).await?;
    let moved_by_another = match expected {
        Some(expected) => log_end != expected,
        None => context.lease.has_predecessor(),
    };
    if moved_by_another {
        // An instance before this one may have written ahead after the state was read.
        context.read_state_again().await?;
    }
    let mut known = None;
    let facts = context.state.facts(&mirror.id);
    if log_end >= facts.entries_from {
        known = known_position(&led, mirror, &facts, log_start, log_end).await?;
    }
    if known.is_none() && facts.entries_from > 0 {
        // The mirror lost its tail: what is known of older parts is in the topic only.
        let facts = context.read_facts(&mirror.id).await?;
        known = known_position(&led, mirror, &facts, log_start, log_end).await?;
    }
    let position = match (context.options.offsets, known) {
        (Offsets::Translate, Some(position)) => position,
        (Offsets::Translate, None) if log_end == 0 => start_position(context, mirror).await?,
        (Offsets::Translate, None) => return Err(state_lost(mirror, log_end).into()),
        (Offsets::Preserve, known) => {
            let log = prime::MirrorLog { leader, log_start, log_end };
            prime::position(context, mirror, facts.start, known, log).await?
        }
    };
    Ok(Recovered { position, log_start, last_timestamp_ms })
}

/// The log end, once every replica has it: what is not yet acknowledged may still go away.
async fn settled_log_end(led: &Led<'_>, unsettled: bool) -> Result<i64, Interruption> {
    let ask = |error: AskError| {
        Interruption::from(Doubt { unsettled, ..Doubt::target(error.to_string()) })
    };
    let log_end = led.offset(LATEST, LogView::LogEnd).await.map_err(ask)?;
    if unsettled {
        // Requests of the lost connection that the broker had already taken in come first or not
        // at all; two equal readings say that it has worked them off.
        sleep(SETTLE_INTERVAL).await;
        let again = led.offset(LATEST, LogView::LogEnd).await.map_err(ask)?;
        if again != log_end {
            let why = format!("the mirror's log end moved from {log_end} to {again}");
            return Err(Doubt { unsettled, ..Doubt::target(why) }.into());
        }
    }
    let watermark = led.offset(LATEST, LogView::Uncommitted).await.map_err(ask)?;
    if watermark != log_end {
        let why = format!(
            "offsets {watermark} to {log_end} of the mirror are not yet on all of its replicas"
        );
        return Err(Doubt { unsettled, ..Doubt::target(why) }.into());
    }
    Ok(log_end)
}

/// The newest timestamp of our producer id, if the leader remembers it, in step with the log end.
async fn last_timestamp(
    context: &LinkContext,
    mirror: &MirrorPartition,
    led: &Led<'_>,
    log_end: i64,
) -> Result<Option<i64>, Interruption> {
    let producers = match led.producers().await {
        Ok(producers) => producers,
        // Without the right to read the mirror nothing is known of it: unarmed.
        Err(error) if error.code() == Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => Vec::new(),
        Err(error) => return Err(target_error(mirror, &error)),
    };
    let ours = producers.iter().find(|producer| producer.producer_id == context.producer_id);
    let Some(ours) = ours else { return Ok(None) };
    if ours.last_sequence >= 0 && log_end > 0 && ours.last_sequence != sequence_at(log_end - 1) {
        // The last batch is ours and in step, so one came in between the two questions.
        return Err(Doubt::target("the mirror changed while its position was read").into());
    }
    Ok(Some(ours.last_timestamp_ms))
}

/// The position by what was written ahead, borne out by the mirror; `None` if what was left out of
/// the facts may know better.
async fn known_position(
    led: &Led<'_>,
    mirror: &MirrorPartition,
    facts: &MirrorFacts,
    log_start: i64,
    log_end: i64,
) -> Result<Option<Position>, Interruption> {
    let candidates = candidates(facts, log_end);
    for candidate in candidates.iter().take_while(|one| one.target_offset() >= facts.entries_from) {
        let header = match candidate {
            Candidate::Entries { target_offset, .. } if *target_offset >= log_start => {
                led.header_at(*target_offset).await.map_err(|error| target_error(mirror, &error))?
            }
            _ => None,
        };
        let seen = header.as_ref().map_or(Seen::Deleted, Seen::Batch);
        if let Some(position) = judge(candidate, seen, log_end) {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// Where an empty mirror begins, written down before anything is mirrored: another look at the
/// source later would find another end.
async fn start_position(
    context: &LinkContext,
    mirror: &MirrorPartition,
) -> Result<Position, Interruption> {
    let source_offset = start_offset(context, mirror).await?;
    let fact = Fact { target_offset: 0, source_offset, source_leader_epoch: -1, turn: 0 };
    context
        .state
        .write(StateKey::Start(mirror.id.clone()), StateValue::Fact(fact))
        .await
        .map_err(|error| Doubt::target(error.to_string()))?;
    Ok(Position { target_offset: 0, source_offset, source_leader_epoch: -1 })
}

pub(super) async fn start_offset(
    context: &LinkContext,
    mirror: &MirrorPartition,
) -> Result<i64, Interruption> {
    let led = mirror.source_led(context).await?;
    let ask = |error: AskError| Interruption::from(Doubt::source(error.to_string()));
    match context.options.start {
        Start::Earliest => led.offset(EARLIEST, LogView::Committed).await.map_err(ask),
        Start::Latest => led.offset(LATEST, LogView::Committed).await.map_err(ask),
        Start::Timestamp(timestamp_ms) => {
            let found = led.offset(timestamp_ms, LogView::Committed).await.map_err(ask)?;
            if found >= 0 {
                return Ok(found);
            }
            // Nothing as young as that: what comes next is.
            led.offset(LATEST, LogView::Committed).await.map_err(ask)
        }
    }
}

fn target_error(mirror: &MirrorPartition, error: &AskError) -> Interruption {
    match error.code() {
        Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => Stop::new(
            PartitionState::StoppedDenied,
            format!("{error}; the link's principal needs READ, DESCRIBE and WRITE on {mirror}"),
        )
        .into(),
        _ => Doubt::target(error.to_string()).into(),
    }
}

fn foreign_stop(mirror: &MirrorPartition, foreign: Foreign) -> Stop {
    let found = match foreign {
        Foreign::Writer { producer_id, offset } => {
            format!("the batch at offset {offset} was written by producer id {producer_id}")
        }
        Foreign::Shifted { offset, sequence_expected, sequence } => format!(
            "the batch at offset {offset} has sequence {sequence} instead of {sequence_expected}, \
             so another producer wrote before it"
        ),
    };
    Stop::new(
        PartitionState::StoppedForeignWrite,
        format!(
            "mirror {mirror} has another writer: {found}; stop that producer, then delete the \
             mirror topic, which is mirrored again from its start"
        ),
    )
}

pub(super) fn state_lost(mirror: &MirrorPartition, log_end: i64) -> Stop {
    Stop::new(
        PartitionState::StoppedStateLost,
        format!(
            "mirror {mirror} ends at offset {log_end}, but the state topic does not say which \
             source offset that is; restore the state topic, or delete the mirror topic, which is \
             mirrored again from its start"
        ),
    )
}
