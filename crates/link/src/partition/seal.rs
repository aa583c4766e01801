//! Replacing what was written down of a mirror by blocks of its map, at the beginning of a turn.

use super::context::{LinkContext, MirrorPartition};
use super::stop::{Doubt, Interruption};
use crate::offsets::LiveMap;
use crate::options::Offsets;

/// Seals what the turn began with, if enough was written down.
///
/// That no other turn has this one's number is read from the topic first: one that is written later
/// then has a smaller number, so that this one counts, or has known this one and began at or behind
/// it. Blocks are safe before anything is forgotten.
pub(super) async fn seal(
    context: &LinkContext,
    mirror: &MirrorPartition,
    map: &LiveMap,
    turn: u32,
) -> Result<(), Interruption> {
    let records_min = context.options.sealed_records_min;
    // Mirrors with the source's offsets write nothing ahead.
    if context.options.offsets == Offsets::Preserve || map.written() < records_min {
        return Ok(());
    }
    context.read_state_again().await?;
    let facts = context.state.facts(&mirror.id);
    if facts.turns.keys().any(|(other, claim)| *other >= turn && *claim != context.claim) {
        return Ok(());
    }
    let Some(seal) = map.seal(&mirror.id, records_min) else { return Ok(()) };
    // One after the other: that the last block is there says that all are.
    for (key, value) in &seal.writes {
        let written = context.state.write(key.clone(), value.clone()).await;
        written.map_err(|error| Doubt::target(error.to_string()))?;
    }
    map.sealed(&seal);
    let mut forgotten = 0;
    for key in &seal.forget {
        // What is left over is forgotten the next time.
        if context.state.is_busy() {
            break;
        }
        map.forgotten(key);
        drop(context.state.forget(key.clone()));
        forgotten += 1;
    }
    tracing::debug!(mirror = %mirror, blocks = seal.writes.len(), forgotten, "state sealed");
    Ok(())
}
