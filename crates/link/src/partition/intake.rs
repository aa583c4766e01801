//! The source half of a stream: subscribing, filtering and assembling.

use std::collections::VecDeque;

use farlog_client::TopicPartition;
use farlog_wire::error_code::ErrorCode;
use farlog_wire::records::{RawBatch, batches, control_type};
use tokio::time::Instant;

use super::batcher::{Batcher, BatcherError};
use super::cell::StatusCell;
use super::context::{LinkContext, MirrorPartition};
use super::continuity::{Continuity, Taken};
use super::stop::{Doubt, Interruption, Stop};
use crate::backoff::Backoff;
use crate::identity::TaggedId;
use crate::limits::MERGED_BATCH_BYTES_MAX;
use crate::options::OnSourceDataLoss;
use crate::pipeline::{Assembled, AssemblerLimits};
use crate::position::Position;
use crate::source::{
    CommittedFilter, Fetched, FetchedData, MemoryTicket, SourceEnd, SourceStream, Verdict,
};
use crate::state::{StateKey, StateValue};
use crate::status::PartitionState;
use crate::target::tail::{AskError, EARLIEST, LATEST, LogView};

/// Fetches that may fail their checks in a row before the partition stops.
const CORRUPT_FETCHES_MAX: u32 = 3;

/// What was taken from the source and not yet sent.
pub(crate) struct Intake<'a> {
    context: &'a LinkContext,
    mirror: &'a MirrorPartition,
    cell: &'a StatusCell,
    batcher: Batcher,
    ready: VecDeque<Assembled<MemoryTicket>>,
    stream: Option<SourceStream>,
    resubscribe_at: Instant,
    backoff: Backoff,
    corrupt_fetches: u32,
    /// The last batch that was taken in.
    taken: Option<Taken>,
    /// Source offset of the next fetch.
    offset: i64,
    /// Leader epoch of the last batch fetched, -1 if unknown.
    last_epoch: i32,
    /// The source's last stable offset when it last answered.
    end_offset: Option<i64>,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(
        context: &'a LinkContext,
        mirror: &'a MirrorPartition,
        cell: &'a StatusCell,
        position: Position,
    ) -> Self {
        let limits = AssemblerLimits {
            merged_bytes_max: MERGED_BATCH_BYTES_MAX,
            recompress: context.options.recompress,
        };
        Self {
            context,
            mirror,
            cell,
            batcher: Batcher::new(
                context.options.offsets,
                limits,
                context.producer_id,
                position,
                context.merge_buffers.clone(),
                context.holes,
            ),
            ready: VecDeque::new(),
            stream: None,
            resubscribe_at: Instant::now(),
            backoff: Backoff::new(),
            corrupt_fetches: 0,
            taken: None,
            offset: position.source_offset,
            last_epoch: position.source_leader_epoch,
            end_offset: None,
        }
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.stream.is_some()
    }

    pub(crate) fn unsubscribe(&mut self) {
        self.stream = None;
    }

    /// Whether the source had nothing more when it last answered.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.end_offset.is_some_and(|end_offset| self.offset >= end_offset)
    }

    pub(crate) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn pop_ready(&mut self) -> Option<Assembled<MemoryTicket>> {
        self.ready.pop_front()
    }

    /// Ends the batch under construction.
    pub(crate) fn flush(&mut self) -> Result<(), Interruption> {
        let flushed = self.batcher.flush(&mut self.ready);
        flushed.map_err(|error| self.not_preserved(&error).into())
    }

    /// Timestamp of the oldest record that waits here.
    pub(crate) fn oldest_waiting_ms(&self) -> Option<i64> {
        let ready = self.ready.front().map(|assembled| assembled.first_timestamp_ms);
        ready.or_else(|| self.batcher.first_timestamp_ms())
    }

    /// Whether nothing waits here.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && !self.batcher.is_open()
    }

    /// The source offset behind everything that was taken in: aborted records and markers behind
    /// the last mirrored record need no mirroring.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) async fn next(&mut self) -> Option<Fetched> {
        match &mut self.stream {
            Some(stream) => stream.next().await,
            None => std::future::pending().await,
        }
    }

    /// When to try again to subscribe.
    pub(crate) fn resubscribe_at(&self) -> Instant {
        self.resubscribe_at
    }

    /// Begins to fetch at the present offset from whoever leads the partition.
    pub(crate) async fn subscribe(&mut self) -> Result<(), Interruption> {
        let leader = match self.mirror.source_leader(self.context).await {
            Ok(leader) => leader,
            Err(Interruption::Doubt(doubt)) => {
                self.wait_for_source(&doubt.why);
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        self.check_continuity().await?;
        let subscribed = self
            .context
            .source_lanes
            .subscribe(
                &self.context.source,
                &self.mirror.source,
                leader,
                self.offset,
                self.last_epoch,
            )
            .await;
        match subscribed {
            Ok(stream) => self.stream = Some(stream),
            Err(error) => self.wait_for_source(&error.to_string()),
        }
        Ok(())
    }

    /// After a lost connection: does the source still have what was taken from it last?
    async fn check_continuity(&mut self) -> Result<(), Interruption> {
        let Some(taken) = self.taken else { return Ok(()) };
        let led = self.mirror.source_led(self.context).await?;
        // What cannot be asked now, or is no longer there, the fetch itself will tell.
        let Ok(Some(now)) = led.header_at(taken.last_offset()).await else { return Ok(()) };
        match taken.compare(&now) {
            Continuity::Holds => Ok(()),
            Continuity::Broken => {
                let place = (self.offset, taken.last_offset());
                Err(broken(self.context, self.mirror, self.last_epoch, place).await.into())
            }
        }
    }

    fn wait_for_source(&mut self, why: &str) {
        self.stream = None;
        self.resubscribe_at = Instant::now() + self.backoff.next();
        let now_ms = self.context.clock.now_ms();
        self.cell.state(now_ms, PartitionState::SourceUnavailable, why);
    }

    /// Takes in what the lane handed over.
    pub(crate) async fn take(&mut self, fetched: Option<Fetched>) -> Result<(), Interruption> {
        match fetched {
            Some(Fetched::Data(data)) => self.take_data(&data),
            Some(Fetched::Ended(end)) => self.ended(end).await,
            None => {
                self.wait_for_source("the connection to the source broker ended");
                Ok(())
            }
        }
    }

    fn take_data(&mut self, data: &FetchedData) -> Result<(), Interruption> {
        let now_ms = self.context.clock.now_ms();
        self.backoff.reset();
        if let Err(why) = self.take_batches(data)? {
            return self.corrupt(&why);
        }
        self.corrupt_fetches = 0;
        self.end_offset = Some(data.end_offset);
        self.cell.source_seen(now_ms, data.log_start_offset, data.end_offset);
        Ok(())
    }

    /// The inner error says what does not hold together in the fetched bytes.
    fn take_batches(&mut self, data: &FetchedData) -> Result<Result<(), String>, Interruption> {
        let mut filter = CommittedFilter::new(data.aborted.iter().copied());
        for batch in batches(data.records.clone()) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error.to_string())),
            };
            if batch.header.last_offset() < self.offset {
                // The fetch answers with the whole batch that holds the offset asked for.
                if let Err(error) = filter.judge(&batch.header, || control_type(&batch)) {
                    return Ok(Err(error.to_string()));
                }
                continue;
            }
            if let Err(error) = batch.verify_crc() {
                return Ok(Err(error.to_string()));
            }
            let verdict = match filter.judge(&batch.header, || control_type(&batch)) {
                Ok(verdict) => verdict,
                Err(error) => return Ok(Err(error.to_string())),
            };
            if let Err(why) = self.take_batch(&batch, verdict, &data.ticket)? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    fn take_batch(
        &mut self,
        batch: &RawBatch,
        verdict: Verdict,
        ticket: &MemoryTicket,
    ) -> Result<Result<(), String>, Interruption> {
        match verdict {
            Verdict::Mirror => {
                self.refuse_loop(batch)?;
                match self.batcher.push(batch, self.offset, ticket, &mut self.ready) {
                    Ok(()) => {}
                    Err(BatcherError::Damaged(why)) => return Ok(Err(why)),
                    Err(error) => return Err(self.not_preserved(&error).into()),
                }
            }
            Verdict::SkipAborted => self.cell.aborted(batch.header.record_count),
            Verdict::SkipControl => {}
        }
        self.batcher.pass_over(batch.header.next_offset(), batch.header.max_timestamp);
        self.taken = Some(Taken::of(&batch.header));
        self.offset = batch.header.next_offset();
        self.last_epoch = batch.header.partition_leader_epoch;
        Ok(Ok(()))
    }

    /// What was born at the target must not come home.
    fn refuse_loop(&self, batch: &RawBatch) -> Result<(), Interruption> {
        match TaggedId::parse(batch.header.producer_id) {
            Some(id) if id.birth == self.context.target_code => Err(Stop::new(
                PartitionState::StoppedLoop,
                format!(
                    "source records from offset {} on were written by a link from this link's \
                     target: mirroring them would bring them home; take topic {} out of one of \
                     the two links",
                    batch.header.base_offset, self.mirror.source.topic,
                ),
            )
            .into()),
            _ => Ok(()),
        }
    }

    fn not_preserved(&self, error: &BatcherError) -> Stop {
        Stop::new(
            PartitionState::StoppedOffsets,
            format!(
                "mirror {}: {error}; set offsets: translate for the link and delete the mirror \
                 topic, which is then mirrored again from its start",
                self.mirror
            ),
        )
    }

    fn corrupt(&mut self, why: &str) -> Result<(), Interruption> {
        self.corrupt_fetches += 1;
        if self.corrupt_fetches >= CORRUPT_FETCHES_MAX {
            return Err(Stop::new(
                PartitionState::StoppedCorrupt,
                format!(
                    "source partition {}-{}: fetched {} times, damaged each time: {why}; check \
                     the leader's log with kafka-dump-log, or let another replica lead",
                    self.mirror.source.topic, self.mirror.source.partition, self.corrupt_fetches,
                ),
            )
            .into());
        }
        self.wait_for_source(why);
        Ok(())
    }

    async fn ended(&mut self, end: SourceEnd) -> Result<(), Interruption> {
        self.stream = None;
        match end {
            SourceEnd::Moved(code) => self.wait_for_source(code.message()),
            SourceEnd::Lost(why) => self.wait_for_source(&why),
            SourceEnd::Malformed(why) => return self.corrupt(&why),
            SourceEnd::LeftOut => {
                self.wait_for_source("the broker's answer leaves the partition out");
            }
            SourceEnd::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
                return Err(Stop::new(
                    PartitionState::StoppedDenied,
                    format!(
                        "the link's principal needs READ on source topic {}",
                        self.mirror.source.topic
                    ),
                )
                .into());
            }
            SourceEnd::Refused(code) => {
                self.wait_for_source(&format!("{code}: {}", code.message()));
            }
            SourceEnd::Diverged { epoch, end_offset } => {
                let what = format!("leader epoch {epoch}");
                return Err(diverged(self.mirror, self.offset, end_offset, &what).into());
            }
            SourceEnd::OutOfRange => return self.out_of_range().await,
        }
        Ok(())
    }

    /// The offset asked for is not in the source's log: below its start, or beyond its end.
    async fn out_of_range(&mut self) -> Result<(), Interruption> {
        let ask = |error: AskError| Interruption::from(Doubt::source(error.to_string()));
        let led = self.mirror.source_led(self.context).await?;
        let log_start = led.offset(EARLIEST, LogView::Uncommitted).await.map_err(ask)?;
        let log_end = led.offset(LATEST, LogView::LogEnd).await.map_err(ask)?;
        if self.offset > log_end {
            return Err(diverged(self.mirror, self.offset, log_end, "now").into());
        }
        if self.offset >= log_start {
            self.wait_for_source("the source answered out of range for an offset that it has");
            return Ok(());
        }
        self.lost(log_start).await
    }

    async fn lost(&mut self, log_start: i64) -> Result<(), Interruption> {
        let lost = log_start - self.offset;
        let what = format!(
            "source partition {}-{} no longer has offsets {} to {log_start}: retention deleted \
             them before they were mirrored",
            self.mirror.source.topic, self.mirror.source.partition, self.offset,
        );
        if self.context.options.on_source_data_loss == OnSourceDataLoss::Stop {
            let why = format!("{what}; set on-source-data-loss: continue to go on behind them");
            return Err(Stop::new(PartitionState::StoppedDataLost, why).into());
        }
        let key = StateKey::Lost { mirror: self.mirror.id.clone(), source_offset: self.offset };
        let written = self.context.state.write(key, StateValue::Lost(log_start)).await;
        written.map_err(|error| Doubt::target(error.to_string()))?;
        tracing::error!(mirror = %self.mirror, from = self.offset, until = log_start, "{what}");
        self.cell.lost(lost);
        self.batcher.pass_over(log_start, self.context.clock.now_ms());
        self.offset = log_start;
        self.last_epoch = -1;
        self.resubscribe_at = Instant::now();
        Ok(())
    }
}

/// The source has another record at `place.1` than the one that was mirrored; `place.0` is behind
/// what was mirrored. Where its leader epochs tell the point of divergence, it is named.
pub(super) async fn broken(
    context: &LinkContext,
    mirror: &MirrorPartition,
    last_epoch: i32,
    place: (i64, i64),
) -> Stop {
    let (mirrored_offset, offset) = place;
    let name = TopicPartition::new(mirror.source.topic.as_str(), mirror.source.partition);
    let ends = context.source.offsets_for_leader_epoch([(name.clone(), last_epoch)]).await;
    let end = ends.get(&name).and_then(|end| end.as_ref().ok()).and_then(|end| end.end_offset);
    if let Some(end_offset) = end.filter(|&end| last_epoch >= 0 && end < mirrored_offset) {
        let what = format!("leader epoch {last_epoch}");
        return diverged(mirror, mirrored_offset, end_offset, &what);
    }
    Stop::new(
        PartitionState::StoppedDiverged,
        format!(
            "source partition {}-{} lost records that are mirrored, and has others in their place \
             under the same leader epoch: the one at offset {offset} is not the one that was \
             mirrored (up to {mirrored_offset}); the mirror keeps what it has; to follow the \
             source, delete the mirror topic, which is mirrored again from its start",
            mirror.source.topic, mirror.source.partition,
        ),
    )
}

/// The source lost records that are mirrored: its log up to `what` ends at `end_offset`.
fn diverged(mirror: &MirrorPartition, mirrored_offset: i64, end_offset: i64, what: &str) -> Stop {
    Stop::new(
        PartitionState::StoppedDiverged,
        format!(
            "source partition {}-{} lost records that are mirrored: its log up to {what} ends at \
             offset {end_offset}, and records up to {mirrored_offset} were mirrored; the mirror \
             keeps them; to follow the source, delete the mirror topic, which is mirrored again \
             from its start",
            mirror.source.topic, mirror.source.partition,
        ),
    )
}
