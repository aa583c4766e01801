//! Mirroring one partition from a position that was just read, until something interrupts.
//!
//! One task per partition owns all of this; nothing here is shared. Batches are sent in order on
//! one connection, and acknowledged in order. Anything unexpected ends the stream: whoever runs it
//! reads the position again, so there is one way back from every doubt.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use farlog_client::{Connection, PendingResponse, ProduceRequestBuilder, ProduceTopic, SendError};
use farlog_wire::error_code::ErrorCode;
use farlog_wire::messages::produce_request::ProduceRequest;
use farlog_wire::messages::produce_response::ProduceResponse;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::cell::StatusCell;
use super::context::{LinkContext, MirrorPartition};
use super::intake::Intake;
use super::recover::Recovered;
use super::stop::{Doubt, Interruption, Stop};
use crate::limits::{
    ANCHOR_INTERVAL, IN_FLIGHT_MAX, IN_FLIGHT_MAX_ROUND_TRIP, IN_FLIGHT_MIN, READY_BATCHES_MAX,
    UNARMED_SURE,
};
use crate::offsets::LiveMap;
use crate::ownership::LeaseVerdict;
use crate::pipeline::{Assembled, Window};
use crate::source::{Fetched, MemoryTicket};
use crate::state::{Entry, Fact, Run, StateKey, StateValue, StateWriteError, Written};
use crate::status::PartitionState;
use crate::target::tail::{LATEST, LogView};

/// A batch that waits for its turn, and for what was written ahead of it.
struct Ready {
    assembled: Assembled<MemoryTicket>,
    entry_written: Option<Written>,
}

/// A batch under way.
struct Sent {
    answer: PendingResponse<ProduceRequest>,
    target_offset: i64,
    record_count: i64,
    extent: i64,
    size_bytes: usize,
    crc: u32,
    source_offset_next: i64,
    source_leader_epoch: i32,
    first_timestamp_ms: i64,
    /// The source offsets of its records, unless they simply continue.
    runs: Option<Vec<Run>>,
    sent_at: Instant,
    /// Held until the batch is acknowledged.
    _tickets: Vec<MemoryTicket>,
}

/// What a stream is about, and whom it tells.
pub(crate) struct Shared<'a> {
    pub(crate) context: &'a LinkContext,
    pub(crate) mirror: &'a MirrorPartition,
    pub(crate) cell: &'a StatusCell,
    pub(crate) map: Option<LiveMap>,
}

/// One stretch of mirroring.
pub(crate) struct Stream<'a> {
    context: &'a LinkContext,
    mirror: &'a MirrorPartition,
    cell: &'a StatusCell,
    map: Option<LiveMap>,
    leader: i32,
    turn: u32,
    connection: Connection,
    topic: ProduceTopic,
    intake: Intake<'a>,
    window: Window,
    ready: VecDeque<Ready>,
    in_flight: VecDeque<Sent>,
    round_trip_min: Option<Duration>,
    /// The mirror's log start.
    log_start: i64,
    /// The first acknowledged batch was looked at in the mirror.
    verified: bool,
    anchored_at: Instant,
    /// When the position was read, or a batch landed last.
    sure_at: Instant,
    draining: bool,
}

/// What happened next.
enum Event {
    Stop,
    Acknowledged(Result<ProduceResponse, SendError>),
    Written(Result<(), StateWriteError>),
    Fetched(Option<Fetched>),
    Resubscribe,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(
        shared: Shared<'a>,
        leader: i32,
        turn: u32,
        connection: Connection,
        recovered: Recovered,
    ) -> Self {
        let Shared { context, mirror, cell, map } = shared;
        let in_flight_max = context.options.in_flight_max.unwrap_or(IN_FLIGHT_MIN);
        Self {
            context,
            mirror,
            cell,
            map,
            leader,
            turn,
            connection,
            topic: ProduceTopic {
                name: mirror.target_topic.as_str().into(),
                id: Some(mirror.id.target_topic_id).filter(|id| !id.is_zero()),
            },
            intake: Intake::new(context, mirror, cell, recovered.position),
            window: Window::new(context.freshness, in_flight_max, recovered.last_timestamp_ms),
            ready: VecDeque::new(),
            in_flight: VecDeque::new(),
            round_trip_min: None,
            log_start: recovered.log_start,
            verified: false,
            anchored_at: Instant::now(),
            sure_at: Instant::now(),
            draining: false,
        }
    }

    /// Mirrors until something interrupts; what is under way then is waited for.
    pub(crate) async fn run(mut self, stop: &mut watch::Receiver<bool>) -> Interruption {
        let mut interruption = match self.run_inner(stop).await {
            Ok(()) => Interruption::Drained,
            Err(interruption) => interruption,
        };
        // A position read while requests are under way would be out of date at once.
        let mut lost = false;
        while let Some(sent) = self.in_flight.pop_front() {
            lost |= sent.answer.await.is_err();
        }
        if let Interruption::Doubt(doubt) = &mut interruption {
            doubt.unsettled |= lost;
        }
        interruption
    }

    async fn run_inner(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Interruption> {
        loop {
            self.close_batch_if_due()?;
            self.write_ahead();
            self.make_sure().await?;
            self.send_ready()?;
            if self.draining && self.ready.is_empty() && self.in_flight.is_empty() {
                return Ok(());
            }
            match self.next_event(stop).await {
                Event::Stop => self.drain(),
                Event::Acknowledged(answer) => self.acknowledged(answer).await?,
                Event::Written(written) => self.entry_written(written)?,
                Event::Fetched(fetched) => self.intake.take(fetched).await?,
                Event::Resubscribe => self.intake.subscribe().await?,
            }
            self.tell();
        }
    }

    async fn next_event(&mut self, stop: &mut watch::Receiver<bool>) -> Event {
        let wants_data =
            !self.draining && self.ready.len() + self.intake.ready_len() < READY_BATCHES_MAX;
        let subscribed = self.intake.is_subscribed();
        let resubscribe_at = self.intake.resubscribe_at();
        let Self { in_flight, ready, intake, draining, .. } = self;
        tokio::select! {
            biased;
            _ = stop.wait_for(|&stop| stop), if !*draining => Event::Stop,
            answer = first_answer(in_flight), if !in_flight.is_empty() => {
                Event::Acknowledged(answer)
            }
            written = first_written(ready), if awaits_entry(ready) => Event::Written(written),
            () = sleep_until(resubscribe_at), if wants_data && !subscribed => Event::Resubscribe,
            fetched = intake.next(), if wants_data && subscribed => Event::Fetched(fetched),
        }
    }

    /// Ends the batch under construction when nothing is gained by waiting for more.
    fn close_batch_if_due(&mut self) -> Result<(), Interruption> {
        let idle = self.in_flight.is_empty() && self.ready.is_empty();
        if self.draining || self.intake.is_caught_up() || idle {
            self.intake.flush()?;
        }
        Ok(())
    }

    /// Takes over what was assembled; what does not simply continue is written down first.
    fn write_ahead(&mut self) {
        while let Some(assembled) = self.intake.pop_ready() {
            let entry_written = assembled.entry.as_ref().map(|entry| {
                let key = StateKey::Entry {
                    mirror: self.mirror.id.clone(),
                    target_offset: assembled.target_offset,
                    claim: self.context.claim,
                };
                let entry = Entry { turn: self.turn, ..entry.clone() };
                self.context.state.enqueue(key, StateValue::Entry(entry))
            });
            self.ready.push_back(Ready { assembled, entry_written });
        }
    }

    /// Looks where the mirror ends before an old batch after a pause: nothing but that would tell
    /// that the mirror lost its tail meanwhile, and the batch would land in its place.
    async fn make_sure(&mut self) -> Result<(), Interruption> {
        let Some(front) = self.ready.front() else { return Ok(()) };
        let is_idle = front.entry_written.is_none() && self.in_flight.is_empty();
        let is_armed = self.window.is_armed(self.context.clock.now_ms());
        if !is_idle || is_armed || self.sure_at.elapsed() <= UNARMED_SURE {
            return Ok(());
        }
        let expected = front.assembled.target_offset;
        let led = self.mirror.led_by(self.context, self.leader);
        let log_end = led.offset(LATEST, LogView::LogEnd).await;
        let log_end = log_end.map_err(|error| Doubt::target(error.to_string()))?;
        if log_end != expected {
            let why = format!("the mirror ends at {log_end}, and ended at {expected}");
            return Err(Doubt::target(why).into());
        }
        self.sure_at = Instant::now();
        Ok(())
    }

    fn send_ready(&mut self) -> Result<(), Interruption> {
        while let Some(ready) = self.ready.front() {
            let now_ms = self.context.clock.now_ms();
            if ready.entry_written.is_some() || !self.window.has_room(now_ms) {
                return Ok(());
            }
            let armed = self.window.is_armed(now_ms);
            match self.context.lease.allows(armed) {
                LeaseVerdict::Granted => {}
                LeaseVerdict::Lost => return Err(Interruption::LeaseLost),
                LeaseVerdict::NotYet => {
                    let why = "the lease of the instance before this one has not yet run out";
                    let state = PartitionState::Recovering;
                    return Err(Doubt { state, why: why.to_owned(), unsettled: false }.into());
                }
            }
            let Some(ready) = self.ready.pop_front() else { return Ok(()) };
            self.send(ready.assembled)?;
        }
        Ok(())
    }

    fn send(&mut self, assembled: Assembled<MemoryTicket>) -> Result<(), Interruption> {
        let batch = assembled.batch;
        let (record_count, size_bytes, crc) =
            (i64::from(batch.record_count()), batch.size_bytes(), batch.crc());
        let extent = batch.extent();
        self.window.sent(batch.max_timestamp());
        let mut request = ProduceRequestBuilder::new(self.context.produce_timeout());
        request.insert(&self.topic, self.mirror.source.partition, batch).map_err(|error| {
            Stop::new(PartitionState::StoppedRefused, format!("{}: {error}", self.mirror))
        })?;
        self.in_flight.push_back(Sent {
            answer: self.connection.produce(request),
            target_offset: assembled.target_offset,
            record_count,
            extent,
            size_bytes,
            crc,
            source_offset_next: assembled.source_offset_next,
            source_leader_epoch: assembled.source_leader_epoch,
            first_timestamp_ms: assembled.first_timestamp_ms,
            runs: assembled.entry.map(|entry| entry.runs),
            sent_at: Instant::now(),
            _tickets: assembled.tickets,
        });
        Ok(())
    }

    fn entry_written(&mut self, written: Result<(), StateWriteError>) -> Result<(), Interruption> {
        written.map_err(|error| Doubt::target(error.to_string()))?;
        if let Some(front) = self.ready.front_mut() {
            front.entry_written = None;
        }
        Ok(())
    }

    async fn acknowledged(
        &mut self,
        answer: Result<ProduceResponse, SendError>,
    ) -> Result<(), Interruption> {
        let Some(sent) = self.in_flight.pop_front() else { return Ok(()) };
        let response = answer
            .map_err(|error| Doubt { unsettled: true, ..Doubt::target(error.to_string()) })?;
        let partition = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .find(|partition| partition.index == self.mirror.source.partition)
            .ok_or_else(|| Doubt::target("the produce answer does not name the partition"))?;
        let code = partition.error_code;
        if code != ErrorCode::NONE {
            return Err(super::refusal::interruption(
                self.context,
                self.mirror,
                code,
                partition.error_message.as_deref(),
                sent.size_bytes,
            )
            .await);
        }
        if partition.base_offset != sent.target_offset {
            // Reading the position finds out who wrote in between, and names it.
            return Err(Doubt::target(format!(
                "a batch landed at offset {} of {} instead of {}",
                partition.base_offset, self.mirror, sent.target_offset
            ))
            .into());
        }
        self.log_start = partition.log_start_offset.max(self.log_start);
        self.verify_first(&sent).await?;
        self.landed(&sent);
        Ok(())
    }

    /// Looks at the first batch of a stream in the mirror: a batch of the same extent that another
    /// instance sent before it died is acknowledged as ours.
    async fn verify_first(&mut self, sent: &Sent) -> Result<(), Interruption> {
        if self.verified {
            return Ok(());
        }
        let led = self.mirror.led_by(self.context, self.leader);
        let header = match led.header_at(sent.target_offset).await {
            Ok(header) => header,
            // The mirror's retention was quicker than we.
            Err(error) if error.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE) => None,
            Err(error) => return Err(Doubt::target(error.to_string()).into()),
        };
        if let Some(header) = header
            && header.base_offset == sent.target_offset
            && header.crc != sent.crc
        {
            let why = "a batch of an earlier instance arrived in the place of the first one";
            return Err(Doubt::target(why).into());
        }
        self.verified = true;
        Ok(())
    }

    fn landed(&mut self, sent: &Sent) {
        let now_ms = self.context.clock.now_ms();
        self.sure_at = Instant::now();
        self.window.acknowledged();
        self.measure(sent.sent_at.elapsed());
        let target_offset = sent.target_offset + sent.extent;
        self.cell.landed(sent.record_count, sent.size_bytes, |status| {
            status.source_offset = sent.source_offset_next;
            status.target_offset = target_offset;
        });
        if let Some(map) = &self.map {
            let (target_offset, epoch) = (sent.target_offset, sent.source_leader_epoch);
            map.landed(target_offset, sent.record_count, sent.runs.as_deref(), epoch);
        }
        self.cell.state(now_ms, PartitionState::CatchingUp, "");
        if self.anchored_at.elapsed() >= ANCHOR_INTERVAL {
            self.anchored_at = Instant::now();
            if let Some(map) = &self.map {
                map.drop_below(self.cell.source_start_offset(), self.log_start);
            }
            let fact = Fact {
                target_offset,
                source_offset: sent.source_offset_next,
                source_leader_epoch: sent.source_leader_epoch,
                turn: self.turn,
            };
            // Nobody waits for it: without it the next owner looks further back.
            drop(
                self.context
                    .state
                    .enqueue(StateKey::Anchor(self.mirror.id.clone()), StateValue::Fact(fact)),
            );
        }
    }

    /// Keeps the status in step: what is the oldest record that is not yet mirrored?
    fn tell(&self) {
        let sent = self.in_flight.front().map(|sent| sent.first_timestamp_ms);
        let ready = || self.ready.front().map(|ready| ready.assembled.first_timestamp_ms);
        let oldest_ms = sent.or_else(ready).or_else(|| self.intake.oldest_waiting_ms());
        let settled = self.in_flight.is_empty() && self.ready.is_empty() && self.intake.is_empty();
        if settled && self.intake.is_caught_up() && self.intake.is_subscribed() {
            if let Some(map) = &self.map {
                map.all_mirrored(self.intake.offset());
            }
            self.cell.all_mirrored(self.context.clock.now_ms(), self.intake.offset());
        } else if oldest_ms.is_some() {
            self.cell.oldest_unmirrored(oldest_ms);
        }
    }

    /// Opens the window as far as the round trip asks for.
    fn measure(&mut self, elapsed: Duration) {
        let round_trip = self.round_trip_min.map_or(elapsed, |least| least.min(elapsed));
        self.round_trip_min = Some(round_trip);
        if self.context.options.in_flight_max.is_none() {
            let share = round_trip.as_secs_f64() / IN_FLIGHT_MAX_ROUND_TRIP.as_secs_f64();
            let more = ((IN_FLIGHT_MAX - IN_FLIGHT_MIN) as f64 * share.min(1.0)) as usize;
            self.window.set_in_flight_max(IN_FLIGHT_MIN + more);
        }
    }

    /// What was fetched is still sent; nothing more is fetched.
    fn drain(&mut self) {
        self.draining = true;
        self.intake.unsubscribe();
    }
}

fn awaits_entry(ready: &VecDeque<Ready>) -> bool {
    ready.front().is_some_and(|front| front.entry_written.is_some())
}

async fn first_written(ready: &mut VecDeque<Ready>) -> Result<(), StateWriteError> {
    match ready.front_mut().and_then(|front| front.entry_written.as_mut()) {
        Some(written) => written.await,
        None => std::future::pending().await,
    }
}

fn first_answer(in_flight: &mut VecDeque<Sent>) -> impl Future<Output = Answer> + '_ {
    std::future::poll_fn(|context| match in_flight.front_mut() {
        Some(sent) => Pin::new(&mut sent.answer).poll(context),
        None => std::task::Poll::Pending,
    })
}

type Answer = Result<ProduceResponse, SendError>;
