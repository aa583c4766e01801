//! Appending: what a client sent is checked as Kafka checks it, given its offsets, and handed to
//! the store.

use bytes::Bytes;
use farlog_store::{AppendError, Batch, Durable};
use farlog_wire::ErrorCode;
use farlog_wire::records::{
    BATCH_HEADER_BYTES, BatchError, BatchHeader, Compression, OutgoingBatch, RawBatch,
    TimestampType as BatchTimestamps,
};

use super::producers::{Sequenced, Verdict};
use super::{Partition, State};
use crate::catalog::Refusal;
use crate::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use crate::topic_configs::{TimestampType, TopicConfigs};

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendOrigin {
    /// A client: its batch is checked in every respect.
    Client,
    /// The broker's own coordinators: the batch was just made here.
    Coordinator,
}

/// Where a batch came to lie.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// -1 where the topic keeps the producer's timestamps.
    pub(crate) log_append_time_ms: i64,
    pub(crate) log_start_offset: i64,
    next_offset: i64,
    /// `None` for what is in the log already.
    durable: Option<Durable>,
}

impl Partition {
    /// Appends the one batch that `records` is. When this returns its place is certain; that it
    /// will stay is said by [`settle`](Self::settle).
    ///
    /// # Errors
    /// What Kafka would say, with Kafka's code.
    pub(crate) fn append(
        &self,
        records: Bytes,
        origin: AppendOrigin,
        configs: &TopicConfigs,
        now_ms: i64,
    ) -> Result<Appended, Refusal> {
        let batch = checked(records, origin, configs, now_ms)?;
        let header = &batch.header;
        let stamped = stamp_time(&batch, configs, now_ms);
        let log_append_time_ms = stamped.as_ref().map_or(-1, |_| now_ms);
        let sequenced = sequenced(header);
        let mut state = self.state();
        if state.closed {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
        }
        if let Some(sequenced) = &sequenced {
            match state.producers.check(sequenced) {
                Ok(Verdict::Next) => {}
                Ok(Verdict::Duplicate { base_offset, timestamp_ms }) => {
                    let log_append_time_ms = if stamped.is_some() { timestamp_ms } else { -1 };
                    return Ok(Appended {
                        base_offset,
                        log_append_time_ms,
                        log_start_offset: state.start_offset,
                        next_offset: base_offset + i64::from(header.last_offset_delta) + 1,
                        durable: None,
                    });
                }
                Err(code) => return Err(refused(&self.topic, self.log.partition, code, sequenced)),
            }
        }
        let bytes = stamped.unwrap_or_else(|| batch.bytes().to_vec());
        let max_timestamp_ms = if log_append_time_ms < 0 { header.max_timestamp } else { now_ms };
        let base_offset = state.end_offset;
        let durable = self.hand_over(&mut state, header, bytes, max_timestamp_ms)?;
        if let Some(sequenced) = &sequenced {
            let begun = state.producers.appended(sequenced, base_offset, max_timestamp_ms, now_ms);
            if let Some(first_offset) = begun {
                state.transactions.begin(sequenced.producer_id, first_offset);
            }
        }
        Ok(Appended {
            base_offset,
            log_append_time_ms,
            log_start_offset: state.start_offset,
            next_offset: state.end_offset,
            durable: Some(durable),
        })
    }

    /// Writes the marker that ends a producer's transaction here (KIP-98), whether one is open or
    /// not, as Kafka does.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` or `TRANSACTION_COORDINATOR_FENCED` for who is too late.
    pub(crate) fn append_marker(
        &self,
        marker: OutgoingBatch,
        coordinator_epoch: i32,
        commit: bool,
        now_ms: i64,
    ) -> Result<Appended, Refusal> {
        let header = *marker.header();
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        let mut state = self.state();
        if state.closed {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
        }
        state.producers.check_marker(producer_id, epoch, coordinator_epoch)?;
        let base_offset = state.end_offset;
        let bytes = marker.to_bytes().to_vec();
        let durable = self.hand_over(&mut state, &header, bytes, header.max_timestamp)?;
        let begun = state.producers.marked(
            producer_id,
            epoch,
            coordinator_epoch,
            header.max_timestamp,
            now_ms,
        );
        if let Some(first_offset) = begun {
            state.transactions.end(producer_id, first_offset, base_offset, !commit);
        }
        Ok(Appended {
            base_offset,
            log_append_time_ms: -1,
            log_start_offset: state.start_offset,
            next_offset: state.end_offset,
            durable: Some(durable),
        })
    }

    /// Waits until a batch is durable, and lets readers see it.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR` if it is not known to be.
    pub(crate) async fn settle(&self, appended: &mut Appended) -> Result<(), Refusal> {
        let Some(durable) = appended.durable.take() else {
            // Sent again before the first was durable: the answer must not be earlier than its.
            return self.wait_for_high_watermark(appended.next_offset).await;
        };
        if let Err(error) = durable.await {
            let message = error.to_string();
            tracing::error!(topic = self.topic, partition = self.log.partition, "{message}");
            return Err(Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, message));
        }
        let mut state = self.state();
        if appended.next_offset > state.high_watermark {
            state.high_watermark = appended.next_offset;
            state.wake();
        }
        Ok(())
    }

    async fn wait_for_high_watermark(&self, offset: i64) -> Result<(), Refusal> {
        let waiter = std::sync::Arc::new(tokio::sync::Notify::new());
        loop {
            self.tell(&waiter);
            {
                let state = self.state();
                if state.closed {
                    return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
                }
                if state.high_watermark >= offset {
                    return Ok(());
                }
            }
            waiter.notified().await;
        }
    }

    /// Gives the batch its offset and epoch, which are not under its checksum, and the store its
    /// bytes.
    fn hand_over(
        &self,
        state: &mut State,
        header: &BatchHeader,
        mut bytes: Vec<u8>,
        max_timestamp_ms: i64,
    ) -> Result<Durable, Refusal> {
        let base_offset = state.end_offset;
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        let next_offset = base_offset + i64::from(header.last_offset_delta) + 1;
        let bytes = Bytes::from(bytes);
        let batch = Batch { base_offset, next_offset, max_timestamp_ms, bytes };
        let durable = self.store.append(self.log, batch).map_err(|error| self.storage(&error))?;
        state.end_offset = next_offset;
        state.epochs.appended(self.leader_epoch, base_offset);
        Ok(durable)
    }

    fn storage(&self, error: &AppendError) -> Refusal {
        tracing::error!(topic = self.topic, partition = self.log.partition, %error, "not appended");
        Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
    }
}

/// What Kafka checks of a batch before it looks at the partition (`LogValidator`).
fn checked(
    records: Bytes,
    origin: AppendOrigin,
    configs: &TopicConfigs,
    now_ms: i64,
) -> Result<RawBatch, Refusal> {
    let header = BatchHeader::parse(&records).map_err(|error| malformed(&error))?;
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::INVALID_RECORD, message));
    if records.len() > header.size_bytes() {
        return invalid("Compressed outer record has more than one batch");
    }
    let batch = RawBatch::new(records).map_err(|error| malformed(&error))?;
    if origin == AppendOrigin::Coordinator {
        return Ok(batch);
    }
    batch.verify_crc().map_err(|error| malformed(&error))?;
    if header.base_offset != 0 {
        return invalid(
            "The base offset of the record batch in the append to a partition must be 0",
        );
    }
    if header.attributes.is_control() {
        return invalid("Clients are not allowed to write control records");
    }
    if header.record_count == 0 || header.has_holes() {
        return invalid("Inconsistent batch offset range and number of records");
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return invalid("A batch of an idempotent producer has no valid sequence number");
    }
    if batch.bytes().len() > configs.max_message_bytes {
        let message = format!(
            "The record batch size is {} bytes which exceeds the maximum configured value of {}.",
            batch.bytes().len(),
            configs.max_message_bytes
        );
        return Err(Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, message));
    }
    check_records(&batch, configs, now_ms)?;
    Ok(batch)
}

/// Looks at every record: that they hold together, have keys where compaction needs them, and
/// times that the topic allows.
fn check_records(batch: &RawBatch, configs: &TopicConfigs, now_ms: i64) -> Result<(), Refusal> {
    let plain =
        batch.decompressed(DECOMPRESSED_BATCH_BYTES_MAX).map_err(|error| malformed(&error))?;
    let is_compressed = batch.header.attributes.compression() != Compression::None;
    let keeps_times = configs.timestamp_type == TimestampType::CreateTime;
    for record in plain.records().map_err(|error| malformed(&error))? {
        let record = record.map_err(|error| match is_compressed {
            true => malformed(&error),
            false => Refusal::new(ErrorCode::INVALID_RECORD, error.to_string()),
        })?;
        if configs.is_compacted && record.key.is_none() {
            let message = "Compacted topic cannot accept message without key in topic partition.";
            return Err(Refusal::new(ErrorCode::INVALID_RECORD, message));
        }
        let timestamp = record.timestamp;
        let too_old = now_ms.saturating_sub(timestamp) > configs.timestamp_before_max_ms;
        let too_new = timestamp.saturating_sub(now_ms) > configs.timestamp_after_max_ms;
        if keeps_times && timestamp != -1 && (too_old || too_new) {
            let message = format!(
                "Timestamp {timestamp} of message with offset {} is out of range. The timestamp \
                 should be within [{}, {}]",
                record.offset,
                now_ms.saturating_sub(configs.timestamp_before_max_ms),
                now_ms.saturating_add(configs.timestamp_after_max_ms),
            );
            return Err(Refusal::new(ErrorCode::INVALID_TIMESTAMP, message));
        }
    }
    Ok(())
}

/// The batch with the time of its append in place of the producer's, if the topic wants that; a
/// producer's own claim to it is taken back otherwise, as Kafka does.
fn stamp_time(batch: &RawBatch, configs: &TopicConfigs, now_ms: i64) -> Option<Vec<u8>> {
    const LOG_APPEND_TIME: i16 = 0x08;
    if configs.timestamp_type == TimestampType::CreateTime {
        return None;
    }
    let mut header = batch.header;
    debug_assert!(matches!(
        header.attributes.timestamp_type(),
        BatchTimestamps::CreateTime | BatchTimestamps::LogAppendTime
    ));
    header.attributes.0 |= LOG_APPEND_TIME;
    header.max_timestamp = now_ms;
    let mut bytes = batch.bytes().to_vec();
    let mut front = [0; BATCH_HEADER_BYTES];
    header.write_to(&mut front);
    bytes[..BATCH_HEADER_BYTES].copy_from_slice(&front);
    // The checksum covers all that follows it.
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Some(bytes)
}

fn sequenced(header: &BatchHeader) -> Option<Sequenced> {
    (header.producer_id >= 0).then_some(Sequenced {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        first_sequence: header.base_sequence,
        last_offset_delta: header.last_offset_delta,
        is_transactional: header.attributes.is_transactional(),
    })
}

fn refused(topic: &str, partition: i32, code: ErrorCode, batch: &Sequenced) -> Refusal {
    let Sequenced { producer_id, epoch, first_sequence, .. } = batch;
    Refusal::new(
        code,
        format!(
            "{}: producer {producer_id}, epoch {epoch}, sequence {first_sequence}, partition \
             {topic}-{partition}",
            code.name()
        ),
    )
}

/// Kafka's code for bytes that are not a batch.
fn malformed(error: &BatchError) -> Refusal {
    let code = match error {
        BatchError::Magic { .. } => ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        BatchError::Record { .. } | BatchError::Counts { .. } => ErrorCode::INVALID_RECORD,
        _ => ErrorCode::CORRUPT_MESSAGE,
    };
    Refusal::new(code, error.to_string())
}
