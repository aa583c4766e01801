//! One mirror partition: read the position, mirror until something interrupts, begin again.

mod batcher;
mod cell;
mod context;
mod continuity;
mod intake;
mod prime;
mod probe;
mod recover;
mod refusal;
mod seal;
mod stop;
mod stream;

use tokio::sync::watch;
use tokio::time::{Duration, sleep};

pub(crate) use cell::StatusCell;
pub(crate) use context::{LinkContext, MirrorPartition};
use continuity::{Continuity, compare_records};
use intake::broken;
use probe::probe;
use recover::{Recovered, recover};
use seal::seal;
use stop::{Doubt, Interruption, Stop};
use stream::{Shared, Stream};

use crate::backoff::Backoff;
use crate::limits::{BACKOFF_MIN, DECOMPRESSED_BATCH_BYTES_MAX, STOPPED_RETRY};
use crate::offsets::LiveMap;
use crate::ownership::LeaseVerdict;
use crate::position::Position;
use crate::state::{Fact, StateKey, StateValue};
use crate::status::PartitionState;
use crate::target::tail::{LATEST, LogView};

/// Between looks whether the lease has come back, as it does after a rebalance.
const LEASE_RETRY: Duration = Duration::from_millis(50);

/// What this instance knows of a mirror partition from its last turn.
#[derive(Debug, Default)]
struct Known {
    /// The fact that the turn began with.
    began: Option<Fact>,
    /// Where the mirror ends if nothing landed but what was acknowledged.
    log_end: Option<i64>,
}

/// Mirrors a partition until `stop` turns true.
pub(crate) async fn run(
    context: &LinkContext,
    mirror: &MirrorPartition,
    cell: &StatusCell,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new();
    let mut unsettled = false;
    let mut known = Known::default();
    loop {
        let records_before = cell.records_total();
        let interruption = attempt(context, mirror, cell, &mut stop, unsettled, &mut known).await;
        if cell.records_total() > records_before {
            backoff.reset();
        }
        let wait = match interruption {
            Interruption::Drained => return,
            Interruption::LeaseLost => LEASE_RETRY,
            Interruption::Stop(stopped) => {
                unsettled = false;
                tell_stop(context, mirror, cell, &stopped);
                STOPPED_RETRY
            }
            Interruption::Doubt(doubt) => {
                unsettled = doubt.unsettled;
                tell_doubt(context, mirror, cell, &doubt);
                backoff.next()
            }
        };
        if wait_or_stop(context, mirror, cell, wait, &mut stop).await {
            return;
        }
    }
}

async fn attempt(
    context: &LinkContext,
    mirror: &MirrorPartition,
    cell: &StatusCell,
    stop: &mut watch::Receiver<bool>,
    unsettled: bool,
    known: &mut Known,
) -> Interruption {
    let begun = tokio::select! {
        begun = begin(context, mirror, cell, unsettled, known) => begun,
        _ = stop.wait_for(|&stop| stop) => return Interruption::Drained,
    };
    match begun {
        Ok(stream) => {
            let interruption = stream.run(stop).await;
            known.log_end = Some(cell.target_offset());
            interruption
        }
        Err(interruption) => interruption,
    }
}

async fn begin<'a>(
    context: &'a LinkContext,
    mirror: &'a MirrorPartition,
    cell: &'a StatusCell,
    unsettled: bool,
    known: &mut Known,
) -> Result<Stream<'a>, Interruption> {
    if context.lease.allows(true) == LeaseVerdict::Lost {
        return Err(Interruption::LeaseLost);
    }
    // A topic that is gone or another one is told before anything else.
    mirror.source_exists(context).await?;
    let leader = mirror.target_leader(context).await?;
    let connection = context
        .target_lanes
        .connection(&context.target, leader, mirror.source.partition)
        .await
        .map_err(|error| Doubt::target(error.to_string()))?;
    let recovered = recover(context, mirror, leader, unsettled, known.log_end).await?;
    check_source(context, mirror, leader, &recovered).await?;
    let turn = begin_turn(context, mirror, leader, recovered.position, known).await?;
    let map = open_map(context, mirror, recovered.position, turn).await?;
    if let Some(map) = &map {
        seal(context, mirror, map, turn).await?;
    }
    cell.recovered(recovered.position.source_offset, recovered.position.target_offset);
    tracing::debug!(
        mirror = %mirror,
        source_offset = recovered.position.source_offset,
        target_offset = recovered.position.target_offset,
        source_leader_epoch = recovered.position.source_leader_epoch,
        "position read"
    );
    let shared = Shared { context, mirror, cell, map };
    Ok(Stream::new(shared, leader, turn, connection, recovered))
}

/// Writes down where a turn begins, before anything is written in it, and says its number: what
/// turns before it wrote ahead and did not append is out of the question from there on.
///
/// The mirror's end is read once more behind the latest turn that is known: a turn of a greater
/// number never begins with what was true before one of a smaller number began.
async fn begin_turn(
    context: &LinkContext,
    mirror: &MirrorPartition,
    leader: i32,
    position: Position,
    known: &mut Known,
) -> Result<u32, Interruption> {
    let facts = context.state.facts(&mirror.id);
    let latest = facts.turn();
    let begins_with = |turn| Fact {
        target_offset: position.target_offset,
        source_offset: position.source_offset,
        source_leader_epoch: position.source_leader_epoch,
        turn,
    };
    let unused = facts.entries.values().all(|entry| entry.turn < latest);
    if unused && known.began == Some(begins_with(latest)) {
        return Ok(latest);
    }
    let log_end = mirror.led_by(context, leader).offset(LATEST, LogView::LogEnd).await;
    let log_end = log_end.map_err(|error| Doubt::target(error.to_string()))?;
    if log_end != position.target_offset {
        let why = format!("the mirror's end moved from {} to {log_end}", position.target_offset);
        return Err(Doubt::target(why).into());
    }
    let turn = latest.saturating_add(1);
    let fact = begins_with(turn);
    let key = StateKey::Turn { mirror: mirror.id.clone(), turn, claim: context.claim };
    let written = context.state.write(key, StateValue::Fact(fact)).await;
    written.map_err(|error| Doubt::target(error.to_string()))?;
    known.began = Some(fact);
    Ok(turn)
}

/// The mirror's offset map up to a position that was read. What cannot be mapped is mirrored all
/// the same.
async fn open_map(
    context: &LinkContext,
    mirror: &MirrorPartition,
    position: Position,
    turn: u32,
) -> Result<Option<LiveMap>, Interruption> {
    let author = (turn, context.claim);
    let facts = context.state.facts(&mirror.id);
    if let Some(map) = context.maps.go_on(&mirror.id, &facts, position, author) {
        return Ok(Some(map));
    }
    let facts = context.whole_facts(&mirror.id).await?;
    match context.maps.begin(&mirror.id, &facts, position, author) {
        Ok(map) => Ok(Some(map)),
        Err(error) => {
            tracing::warn!(mirror = %mirror, %error, "its offset map cannot be made");
            Ok(None)
        }
    }
}

/// Holds the mirror's last record against the source record that it is a copy of.
async fn check_source(
    context: &LinkContext,
    mirror: &MirrorPartition,
    leader: i32,
    recovered: &Recovered,
) -> Result<(), Interruption> {
    let Position { source_offset, target_offset, .. } = recovered.position;
    if target_offset <= recovered.log_start || source_offset <= 0 {
        return Ok(());
    }
    let (at_source, at_mirror) = (source_offset - 1, target_offset - 1);
    let source = match mirror.source_led(context).await {
        Ok(led) => led.batch_at(at_source).await,
        Err(Interruption::Doubt(_)) => return Ok(()),
        Err(interruption) => return Err(interruption),
    };
    let target = mirror.led_by(context, leader).batch_at(at_mirror).await;
    // What one of them no longer has cannot be compared, and the fetch tells what is missing.
    let (Ok(Some(source)), Ok(Some(target))) = (source, target) else { return Ok(()) };
    let compared =
        compare_records((&source, at_source), (&target, at_mirror), DECOMPRESSED_BATCH_BYTES_MAX);
    match compared {
        Ok(Continuity::Broken) => {
            let last_epoch = recovered.position.source_leader_epoch;
            Err(broken(context, mirror, last_epoch, (source_offset, at_source)).await.into())
        }
        Ok(Continuity::Holds) => Ok(()),
        Err(error) => Err(Doubt::source(error.to_string()).into()),
    }
}

fn tell_stop(context: &LinkContext, mirror: &MirrorPartition, cell: &StatusCell, stop: &Stop) {
    if cell.state(context.clock.now_ms(), stop.state, &stop.why) {
        tracing::error!(mirror = %mirror, state = stop.state.name(), "{}", stop.why);
    }
}

fn tell_doubt(context: &LinkContext, mirror: &MirrorPartition, cell: &StatusCell, doubt: &Doubt) {
    let changed = cell.state(context.clock.now_ms(), doubt.state, &doubt.why);
    if changed && doubt.state != PartitionState::Recovering {
        tracing::warn!(mirror = %mirror, state = doubt.state.name(), "{}", doubt.why);
    } else {
        tracing::debug!(mirror = %mirror, state = doubt.state.name(), "{}", doubt.why);
    }
}

/// Waits, and meanwhile has the status tell what is not being mirrored.
async fn wait_or_stop(
    context: &LinkContext,
    mirror: &MirrorPartition,
    cell: &StatusCell,
    wait: Duration,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    let waited = async {
        if wait > BACKOFF_MIN {
            wait_beside(wait, probe(context, mirror, cell)).await;
        } else {
            sleep(wait).await;
        }
    };
    tokio::select! {
        () = waited => false,
        _ = stop.wait_for(|&stop| stop) => true,
    }
}

/// Waits no longer than `wait`, whether or not what runs beside it has ended by then: a source
/// that is away does not answer a probe for a long time, and must not put off the next attempt.
async fn wait_beside(wait: Duration, beside: impl Future<Output = ()>) {
    let forever = async {
        beside.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sleep(wait) => {}
        () = forever => {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test]
    async fn a_probe_neither_lengthens_nor_shortens_the_wait() {
        const WAIT: Duration = Duration::from_millis(20);
        let begun = Instant::now();
        let endless = timeout(Duration::from_secs(10), wait_beside(WAIT, pending())).await;
        assert!(endless.is_ok(), "it waits for a probe that never ends");
        assert!(begun.elapsed() >= WAIT);
        let begun = Instant::now();
        wait_beside(WAIT, async {}).await;
        assert!(begun.elapsed() >= WAIT, "it ended with the probe");
    }
}
