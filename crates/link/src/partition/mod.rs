//! One mirror partition: read the position, mirror until something interrupts, begin again.

mod cell;
mod context;
mod intake;
mod recover;
mod refusal;
mod stop;
mod stream;

use tokio::sync::watch;
use tokio::time::{Duration, sleep};

pub(crate) use cell::StatusCell;
pub(crate) use context::{LinkContext, MirrorPartition};
use recover::recover;
use stop::{Doubt, Interruption, Stop};
use stream::Stream;

use crate::backoff::Backoff;
use crate::limits::STOPPED_RETRY;
use crate::status::PartitionState;

/// How a partition's task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionEnd {
    /// Asked to end.
    Drained,
    /// This instance may no longer write.
    LeaseLost,
}

/// Mirrors a partition until `stop` turns true or the lease is lost.
pub(crate) async fn run(
    context: &LinkContext,
    mirror: &MirrorPartition,
    cell: &StatusCell,
    mut stop: watch::Receiver<bool>,
) -> PartitionEnd {
    let mut backoff = Backoff::new();
    let mut unsettled = false;
    loop {
        let records_before = cell.records_total();
        let interruption = attempt(context, mirror, cell, &mut stop, unsettled).await;
        if cell.records_total() > records_before {
            backoff.reset();
        }
        let wait = match interruption {
            Interruption::Drained => return PartitionEnd::Drained,
            Interruption::LeaseLost => return PartitionEnd::LeaseLost,
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
        if wait_or_stop(wait, &mut stop).await {
            return PartitionEnd::Drained;
        }
    }
}

async fn attempt(
    context: &LinkContext,
    mirror: &MirrorPartition,
    cell: &StatusCell,
    stop: &mut watch::Receiver<bool>,
    unsettled: bool,
) -> Interruption {
    let begun = tokio::select! {
        begun = begin(context, mirror, cell, unsettled) => begun,
        _ = stop.wait_for(|&stop| stop) => return Interruption::Drained,
    };
    match begun {
        Ok(stream) => stream.run(stop).await,
        Err(interruption) => interruption,
    }
}

async fn begin<'a>(
    context: &'a LinkContext,
    mirror: &'a MirrorPartition,
    cell: &'a StatusCell,
    unsettled: bool,
) -> Result<Stream<'a>, Interruption> {
    // A topic that is gone or another one is told before anything else.
    mirror.source_exists(context).await?;
    let leader = mirror.target_leader(context).await?;
    let connection = context
        .target_lanes
        .connection(&context.target, leader, mirror.source.partition)
        .await
        .map_err(|error| Doubt::target(error.to_string()))?;
    let recovered = recover(context, mirror, leader, unsettled).await?;
    cell.recovered(recovered.position.source_offset, recovered.position.target_offset);
    tracing::debug!(
        mirror = %mirror,
        source_offset = recovered.position.source_offset,
        target_offset = recovered.position.target_offset,
        source_leader_epoch = recovered.position.source_leader_epoch,
        "position read"
    );
    Ok(Stream::new(context, mirror, cell, leader, connection, recovered))
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

async fn wait_or_stop(wait: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = sleep(wait) => false,
        _ = stop.wait_for(|&stop| stop) => true,
    }
}
