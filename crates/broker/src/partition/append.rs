//! Appending: what a client sent is checked as Kafka checks it, given its offsets, and handed to
//! the store.

use bytes::Bytes;
use farlog_store::{AppendError, Batch, Durable, StoreError};
use farlog_wire::ErrorCode;
use farlog_wire::records::{BatchHeader, OutgoingBatch};

use super::producers::{Sequenced, Verdict};
use super::validate::{Accepted, AppendRefusal, accept};
use super::{Partition, State};
use crate::catalog::Refusal;
use crate::topic_configs::{Offsets, TopicConfigs};

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
    ) -> Result<Appended, AppendRefusal> {
        let accepted = accept(records, origin, configs, now_ms);
        let Accepted { header, bytes, log_append_time_ms } =
            accepted.map_err(|refusal| refusal.at(self.offsets().start))?;
        let sequenced = sequenced(&header);
        let mut state = self.state();
        if state.closed {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
        }
        if let Some(sequenced) = &sequenced {
            let verdict = match origin {
                AppendOrigin::Client => state.producers.check(sequenced),
                // As in Kafka: the sequences of a coordinator count nothing.
                AppendOrigin::Coordinator => state.producers.check_epoch(sequenced),
            };
            match verdict {
                Ok(Verdict::Next) => {}
                Ok(Verdict::Duplicate { base_offset, timestamp_ms }) => {
                    return Ok(Appended {
                        base_offset,
                        // Kafka tells the first one's time, whoever's clock gave it.
                        log_append_time_ms: timestamp_ms,
                        log_start_offset: state.start_offset,
                        next_offset: base_offset + i64::from(header.last_offset_delta) + 1,
                        durable: None,
                    });
                }
                Err(code) => {
                    let refusal = refused(&self.topic, self.log.partition, code, sequenced);
                    return Err(refusal.at(state.start_offset));
                }
            }
        }
        let base_offset = place(&state, &header, origin, configs.offsets)?;
        let max_timestamp_ms = header.max_timestamp;
        state.segments.rules = configs.segment_rules;
        let durable = self.hand_over(&mut state, &header, base_offset, bytes)?;
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
        let durable = self.hand_over(&mut state, &header, base_offset, bytes)?;
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
        base_offset: i64,
        mut bytes: Vec<u8>,
    ) -> Result<Durable, Refusal> {
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        let next_offset = base_offset + i64::from(header.last_offset_delta) + 1;
        let bytes = Bytes::from(bytes);
        let max_timestamp_ms = header.max_timestamp;
        let size_bytes = bytes.len() as u64;
        let batch = Batch { base_offset, next_offset, max_timestamp_ms, bytes };
        let durable = self.store.append(self.log, batch).map_err(|error| self.storage(&error))?;
        state.end_offset = next_offset;
        state.epochs.appended(self.leader_epoch, base_offset);
        state.segments.appended(base_offset, max_timestamp_ms, size_bytes);
        state.unkept.bytes += size_bytes;
        Ok(durable)
    }

    fn storage(&self, error: &AppendError) -> Refusal {
        let (topic, partition) = (&self.topic, self.log.partition);
        match error {
            // The store says once what every producer meets now.
            AppendError::Store(StoreError::Unavailable { .. }) => {
                tracing::debug!(topic, partition, %error, "not appended");
            }
            _ => tracing::error!(topic, partition, %error, "not appended"),
        }
        Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
    }
}

/// Where a batch is to lie.
///
/// # Errors
/// `OFFSET_OUT_OF_RANGE` if it is to lie where something is already.
fn place(
    state: &State,
    header: &BatchHeader,
    origin: AppendOrigin,
    offsets: Offsets,
) -> Result<i64, AppendRefusal> {
    let end_offset = state.end_offset;
    if offsets == Offsets::Assigned || origin == AppendOrigin::Coordinator {
        return Ok(end_offset);
    }
    let base_offset = header.base_offset;
    if base_offset < end_offset {
        let message = format!(
            "the topic takes offsets as they are given (farlog.offsets): the log ends at \
             {end_offset}, the batch is to begin at {base_offset}"
        );
        let refusal = AppendRefusal::new(ErrorCode::OFFSET_OUT_OF_RANGE, message);
        return Err(refusal.at(state.start_offset));
    }
    Ok(base_offset)
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

fn refused(topic: &str, partition: i32, code: ErrorCode, batch: &Sequenced) -> AppendRefusal {
    let Sequenced { producer_id, epoch, first_sequence, .. } = batch;
    AppendRefusal::new(
        code,
        format!(
            "{}: producer {producer_id}, epoch {epoch}, sequence {first_sequence}, partition \
             {topic}-{partition}",
            code.name()
        ),
    )
}
