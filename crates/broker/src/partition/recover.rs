//! What a partition knew before the last stop, read back from its log.

use farlog_store::RecoveredLog;
use farlog_wire::records::{ControlType, RawBatch, batches, control_record};

use super::producers::Sequenced;
use super::{Partition, PartitionOptions, State};
use crate::limits::SCAN_BYTES;

impl Partition {
    /// Reads the log, or makes it if the last stop came between the topic and its logs.
    pub(crate) async fn recover(
        options: PartitionOptions,
        found: Option<RecoveredLog>,
    ) -> Result<Self, String> {
        let Some(found) = found else {
            let made = options.store.create(options.log, 0).await;
            made.map_err(|error| error.to_string())?;
            return Ok(Self::empty(options));
        };
        let rules = options.segment_rules;
        let mut state = State::new(rules, found.start_offset, found.end_offset);
        let mut offset = found.start_offset;
        while offset < found.end_offset {
            let read = options.store.read(options.log, offset, SCAN_BYTES, true).await;
            let read = read.map_err(|error| error.to_string())?;
            if read.is_empty() {
                break;
            }
            for batch in batches(read) {
                let batch = batch.map_err(|error| error.to_string())?;
                state.replay(&batch)?;
                offset = batch.header.next_offset();
            }
        }
        state.epochs.appended(options.leader_epoch, found.end_offset);
        Ok(Self::with_state(options, state))
    }
}

impl State {
    /// Takes in a batch that is in the log already.
    fn replay(&mut self, batch: &RawBatch) -> Result<(), String> {
        let header = &batch.header;
        self.epochs.appended(header.partition_leader_epoch, header.base_offset);
        let size_bytes = header.size_bytes() as u64;
        self.segments.appended(header.base_offset, header.max_timestamp, size_bytes);
        if header.producer_id < 0 {
            return Ok(());
        }
        // By append time it would be the broker's clock at the append, which the log does not
        // hold: the producers' own stands in for it, and expiry begins anew at this start.
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
            let begun = self.producers.appended(&sequenced, base_offset, timestamp_ms, i64::MAX);
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
            i64::MAX,
        );
        if let Some(first_offset) = begun {
            self.transactions.end(header.producer_id, first_offset, header.base_offset, aborted);
        }
        Ok(())
    }
}
