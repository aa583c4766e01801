//! Lag while a partition is not being mirrored: nobody fetches it then, and it grows all the same.

use super::cell::StatusCell;
use super::context::{LinkContext, MirrorPartition};
use crate::target::tail::{EARLIEST, LATEST, LogView};

/// Asks the source where it stands and how old the record is that would be mirrored next.
///
/// What cannot be learned stays as it was: the state of the partition says why.
pub(super) async fn probe(context: &LinkContext, mirror: &MirrorPartition, cell: &StatusCell) {
    let Ok(led) = mirror.source_led(context).await else { return };
    let Ok(end_offset) = led.offset(LATEST, LogView::Committed).await else { return };
    let Ok(start_offset) = led.offset(EARLIEST, LogView::Committed).await else { return };
    cell.source_seen(context.clock.now_ms(), start_offset, end_offset);
    let next_offset = cell.source_offset().max(start_offset);
    if next_offset >= end_offset {
        cell.oldest_unmirrored(None);
        return;
    }
    if let Ok(Some(header)) = led.header_at(next_offset).await {
        // Compaction and aborted records aside, the batch's first record is the one.
        cell.oldest_unmirrored(Some(header.base_timestamp));
    }
}
