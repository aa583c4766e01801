//! What a partition knew before the last stop, read back from its log.

use farlog_store::RecoveredLog;
use farlog_wire::records::{ControlType, RawBatch, batches, control_record};

use super::checkpoint::{Known, decode};
use super::producers::Sequenced;
use super::segments::Segments;
use super::{Partition, PartitionOptions, State};
use crate::limits::SCAN_BYTES;

/// A partition as it was, and what finding that out took.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) partition: Partition,
    pub(crate) bytes_read: u64,
}

impl Partition {
    /// Reads what the log's checkpoint does not tell, or makes the log if the last stop came
    /// between the topic and its logs.
    pub(crate) async fn recover(
        options: PartitionOptions,
        found: Option<RecoveredLog>,
        now_ms: i64,
    ) -> Result<Recovered, String> {
        let Some(found) = found else {
            let made = options.store.create(options.log, 0).await;
            made.map_err(|error| error.to_string())?;
            return Ok(Recovered { partition: Self::empty(options), bytes_read: 0 });
        };
        let (mut state, mut offset) = begin(&options, &found);
        state.unkept.since_ms = now_ms;
        while offset < found.end_offset {
            let read = options.store.read(options.log, offset, SCAN_BYTES, true).await;
            let read = read.map_err(|error| error.to_string())?;
            if read.is_empty() {
                break;
            }
            for batch in batches(read) {
                let batch = batch.map_err(|error| error.to_string())?;
                state.replay(&batch, now_ms)?;
                offset = batch.header.next_offset();
            }
        }
        let bytes_read = state.unkept.bytes;
        state.epochs.appended(options.leader_epoch, found.end_offset);
        state.transactions.forget_before(found.start_offset);
        state.segments.trimmed(found.start_offset);
        Ok(Recovered { partition: Self::with_state(options, state), bytes_read })
    }
}

/// What the checkpoint says, and from where on the log is to be read.
fn begin(options: &PartitionOptions, found: &RecoveredLog) -> (State, i64) {
    let rules = options.segment_rules;
    let mut state = State::new(rules, found.start_offset, found.end_offset);
    let Some(checkpoint) = &found.checkpoint else { return (state, found.start_offset) };
    match decode(checkpoint, Segments::new(rules)) {
        Ok(Known { epochs, producers, transactions, segments }) => {
            state.epochs = epochs;
            state.producers = producers;
            state.transactions = transactions;
            state.segments = segments;
            (state, checkpoint.at_offset.max(found.start_offset))
        }
        Err(why) => {
            let (topic, partition) = (&options.topic, options.log.partition);
            tracing::warn!(topic, partition, %why, "a checkpoint is left aside, the log is read");
            (state, found.start_offset)
        }
    }
}

impl State {
    /// Takes in a batch that is in the log already.
    fn replay(&mut self, batch: &RawBatch, now_ms: i64) -> Result<(), String> {
        let header = &batch.header;
        self.epochs.appended(header.partition_leader_epoch, header.base_offset);
        let size_bytes = header.size_bytes() as u64;
        self.segments.appended(header.base_offset, header.max_timestamp, size_bytes);
        self.unkept.bytes += size_bytes;
        if header.producer_id < 0 {
            return Ok(());
        }
        // When it was appended the log does not say: expiry begins anew at this start.
        let timestamp_ms = header.max_timestamp;
        if !header.attributes.is_control() {
            let sequenced = Sequenced {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                first_sequence: header.base_sequence,
                last_offset_delta: header.last_offset_delta,
                is_transactional: header.attributes.is_transactional(),
            };
            let base_offset = header.base_offset;
            let begun = self.producers.appended(&sequenced, base_offset, timestamp_ms, now_ms);
            if let Some(first_offset) = begun {
                self.transactions.begin(header.producer_id, first_offset);
            }
            return Ok(());
        }
        let Some(control) = control_record(batch).map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let aborted = match control.control_type {
            ControlType::Abort => true,
            ControlType::Commit => false,
            ControlType::Other(_) => return Ok(()),
        };
        let begun = self.producers.marked(
            header.producer_id,
            header.producer_epoch,
            control.coordinator_epoch.unwrap_or(-1),
            timestamp_ms,
            now_ms,
        );
        if let Some(first_offset) = begun {
            self.transactions.end(header.producer_id, first_offset, header.base_offset, aborted);
        }
        Ok(())
    }
}
