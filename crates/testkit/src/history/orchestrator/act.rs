//! Does what the script says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep_until};

use super::clusters::fixture;
use super::script::{Event, SLOTS, Script, Side, Way};
use super::{Clusters, Diary, Instances, KillOptions, Summary, verify};
use crate::history::generator::{Generator, TopicKind};
use crate::history::random::Random;
use crate::history::reader;
use crate::history::session::{HistoryError, Session};
use crate::process::Signal;
use crate::proxy::{Direction, FaultProxy};

/// How long a broker that was killed is away before it is started again.
const BROKER_AWAY: Duration = Duration::from_millis(700);

/// Batches that a truncated log loses at most.
const TRUNCATED_BATCHES_MAX: u64 = 12;

/// An instance that ends by itself is started again after this.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// Something that follows from an earlier event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Start(usize),
    Continue(usize),
    EndStall { side: Side, cut: bool },
    ResumeBroker(Side),
}

pub(super) struct Acts {
    options: KillOptions,
    clusters: Arc<Clusters>,
    generator: Arc<Mutex<Generator>>,
    instances: Instances,
    target: Session,
    diary: Diary,
    script: Script,
    random: Random,
    due: Vec<(Instant, Due)>,
    /// The second instance may run.
    second: bool,
    broker: Option<JoinHandle<Result<(), HistoryError>>>,
    truncated: BTreeSet<String>,
    summary: Summary,
}

impl Acts {
    pub(super) fn new(
        options: KillOptions,
        clusters: Arc<Clusters>,
        generator: Arc<Mutex<Generator>>,
        instances: Instances,
        target: Session,
        diary: Diary,
    ) -> Acts {
        let summary = Summary { seed: options.seed, ..Summary::default() };
        Acts {
            script: Script::new(options.seed, options.kills, options.broker_restarts),
            random: Random::named(options.seed, "acts"),
            due: Vec::new(),
            second: false,
            broker: None,
            truncated: BTreeSet::new(),
            options,
            clusters,
            generator,
            instances,
            target,
            diary,
            summary,
        }
    }

    /// Goes through the script until enough instances were killed, or `is_over`.
    pub(super) async fn run(&mut self, is_over: impl Fn() -> bool) -> Result<(), HistoryError> {
        self.instances.start(0)?;
        while self.summary.kills < self.options.kills && !is_over() {
            let (pause, event) = self.script.next_event();
            let until = Instant::now() + pause;
            self.what_is_due(until).await?;
            sleep_until(until).await;
            self.restart_ended()?;
            self.apply(event).await?;
        }
        Ok(())
    }

    /// Undoes every fault, lets one instance catch up, and compares.
    pub(super) async fn finish(mut self, source: &Session) -> Result<Summary, HistoryError> {
        self.broker_is_back().await?;
        self.resume_brokers()?;
        for side in [Side::Source, Side::Target] {
            self.clusters.proxies(side).iter().for_each(FaultProxy::pass);
        }
        for slot in 0..SLOTS {
            block_in_place(|| self.instances.kill(slot))?;
        }
        self.diary.note("settle");
        let mut generator = self.generator.lock().await;
        generator.settle().await?;
        self.instances.start(0)?;
        let address = self.instances.address(0);
        let patience = self.options.catch_up_patience;
        let verdict = verify::check_topics(source, &self.target, &generator, &address, patience);
        let verdict = verdict.await?;
        self.summary.records = generator.records_total;
        drop(generator);
        self.restart_ended()?;
        if verdict.is_clean() {
            self.summary.stopped_cleanly = block_in_place(|| self.instances.stop(0))?;
        } else {
            self.instances.keep_files();
        }
        self.summary.verdict = verdict;
        self.diary.note(&format!("end {}", self.summary));
        Ok(self.summary)
    }

    async fn what_is_due(&mut self, until: Instant) -> Result<(), HistoryError> {
        loop {
            let next = self.due.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            let Some((index, (at, due))) = next.map(|(index, due)| (index, *due)) else {
                return Ok(());
            };
            if at > until {
                return Ok(());
            }
            self.due.swap_remove(index);
            sleep_until(at).await;
            match due {
                Due::Start(slot) if slot == 0 || self.second => self.instances.start(slot)?,
                Due::Start(_) => {}
                Due::Continue(slot) => {
                    self.instances.signal(slot, Signal::Continue)?;
                }
                Due::EndStall { side, cut } => {
                    self.diary.note(&format!("end of the stall at the {side:?}, cut: {cut}"));
                    for proxy in self.clusters.proxies(side) {
                        if cut {
                            block_in_place(|| proxy.cut());
                        }
                        proxy.resume();
                    }
                }
                Due::ResumeBroker(side) => self.resume_broker(side)?,
            }
        }
    }

    /// A broker that stands still can be neither restarted nor read.
    fn resume_brokers(&mut self) -> Result<(), HistoryError> {
        for side in [Side::Source, Side::Target] {
            let before = self.due.len();
            self.due.retain(|(_, due)| *due != Due::ResumeBroker(side));
            if self.due.len() < before {
                self.resume_broker(side)?;
            }
        }
        Ok(())
    }

    fn resume_broker(&self, side: Side) -> Result<(), HistoryError> {
        self.diary.note(&format!("the broker of the {side:?} goes on"));
        let mut brokers = self.clusters.cluster(side).brokers();
        brokers.try_for_each(|broker| broker.resume()).map_err(fixture("resuming a broker"))
    }

    fn restart_ended(&mut self) -> Result<(), HistoryError> {
        for (slot, status, tail) in self.instances.ended()? {
            self.summary.ended_by_themselves.push(format!("instance {slot}: {status}\n{tail}"));
            self.due.push((Instant::now() + RESTART_PAUSE, Due::Start(slot)));
        }
        Ok(())
    }

    async fn apply(&mut self, event: Event) -> Result<(), HistoryError> {
        match event {
            Event::Kill { slot, pause } => self.kill(slot, pause),
            Event::Zombie { slot, session_tenths } => self.zombie(slot, session_tenths),
            Event::Cut(side) => {
                self.diary.note(&format!("cut at the {side:?}"));
                let proxies = self.clusters.proxies(side);
                block_in_place(|| proxies.iter().for_each(FaultProxy::cut));
                self.summary.cuts += 1;
                Ok(())
            }
            Event::Stall { side, way, lasts, cut } => {
                self.diary.note(&format!("stall {way:?} at the {side:?} for {lasts:?}"));
                for proxy in self.clusters.proxies(side) {
                    match way {
                        Way::Out => proxy.stall_one_way(Direction::ToServer),
                        Way::Back => proxy.stall_one_way(Direction::ToClient),
                        Way::Both => proxy.stall(),
                    }
                }
                self.due.push((Instant::now() + lasts, Due::EndStall { side, cut }));
                self.summary.stalls += 1;
                Ok(())
            }
            Event::Second { runs } => {
                self.second = runs;
                self.summary.seconds += u32::from(runs);
                if runs {
                    return self.instances.start(1);
                }
                self.due.retain(|(_, due)| *due != Due::Continue(1));
                block_in_place(|| self.instances.stop(1)).map(|_| ())
            }
            Event::PauseBroker { side, lasts } => self.pause_broker(side, lasts),
            Event::Trim => self.trim().await,
            Event::Broker { side, kill } => self.restart_broker(side, kill).await,
        }
    }

    fn kill(&mut self, slot: usize, pause: Duration) -> Result<(), HistoryError> {
        let Some(slot) = self.running(slot) else { return Ok(()) };
        if block_in_place(|| self.instances.kill(slot))? {
            self.summary.kills += 1;
            self.due.retain(|(_, due)| *due != Due::Continue(slot));
            self.due.push((Instant::now() + pause, Due::Start(slot)));
        }
        Ok(())
    }

    fn zombie(&mut self, slot: usize, session_tenths: u32) -> Result<(), HistoryError> {
        let Some(slot) = self.running(slot) else { return Ok(()) };
        if self.instances.signal(slot, Signal::Stop)? {
            self.summary.zombies += 1;
            let lasts = self.options.session_timeout * session_tenths / 10;
            self.due.push((Instant::now() + lasts, Due::Continue(slot)));
        }
        Ok(())
    }

    fn pause_broker(&mut self, side: Side, lasts: Duration) -> Result<(), HistoryError> {
        let is_paused = self.due.iter().any(|(_, due)| matches!(due, Due::ResumeBroker(_)));
        if self.broker_is_away() || is_paused {
            return Ok(());
        }
        self.diary.note(&format!("the broker of the {side:?} stands still for {lasts:?}"));
        let mut brokers = self.clusters.cluster(side).brokers();
        brokers.try_for_each(|broker| broker.pause()).map_err(fixture("pausing a broker"))?;
        self.due.push((Instant::now() + lasts, Due::ResumeBroker(side)));
        self.summary.broker_pauses += 1;
        Ok(())
    }

    fn broker_is_away(&self) -> bool {
        self.broker.as_ref().is_some_and(|broker| !broker.is_finished())
    }

    fn running(&self, preferred: usize) -> Option<usize> {
        [preferred, 1 - preferred].into_iter().find(|slot| self.instances.runs(*slot))
    }

    /// Deletes the older half of what the mirrors of trimmed topics have.
    async fn trim(&mut self) -> Result<(), HistoryError> {
        let is_paused = self.due.iter().any(|(_, due)| matches!(due, Due::ResumeBroker(_)));
        if self.broker_is_away() || is_paused {
            return Ok(());
        }
        let mut generator = self.generator.lock().await;
        let plans: Vec<String> = generator
            .topics()
            .filter(|plan| plan.kind == TopicKind::Trimmed)
            .map(|plan| plan.name.clone())
            .collect();
        for topic in plans {
            if self.target.partitions(&topic).await? == 0 {
                continue;
            }
            let mirrored = self.target.log_end(&topic, 0).await?;
            let Some(account) = generator.account(&topic, 0) else { continue };
            let expected = account.expected();
            let half = usize::try_from(mirrored / 2).unwrap_or(0);
            let Some(before) = expected.get(half).map(|one| one.source_offset) else { continue };
            self.diary.note(&format!("trim {topic} before {before}"));
            generator.trim(&topic, 0, before).await?;
            self.summary.trims += 1;
        }
        Ok(())
    }

    async fn restart_broker(&mut self, side: Side, kill: bool) -> Result<(), HistoryError> {
        self.broker_is_back().await?;
        self.resume_brokers()?;
        self.summary.broker_restarts += 1;
        self.diary.note(&format!("restart the broker of the {side:?}, kill: {kill}"));
        if kill && side == Side::Source && self.truncate().await? {
            self.summary.truncations += 1;
            return Ok(());
        }
        let clusters = Arc::clone(&self.clusters);
        self.broker = Some(tokio::task::spawn_blocking(move || {
            for broker in clusters.cluster(side).brokers() {
                let ended = if kill { broker.kill() } else { broker.stop() };
                ended.map_err(fixture("ending a broker"))?;
                if kill {
                    std::thread::sleep(BROKER_AWAY);
                }
                broker.start().map_err(fixture("starting a broker"))?;
            }
            Ok(())
        }));
        Ok(())
    }

    /// Kills the source's broker, cuts the tail off one log, and starts it again; nothing is
    /// written meanwhile. False if every log that may lose its tail has lost it.
    async fn truncate(&mut self) -> Result<bool, HistoryError> {
        let mut generator = Arc::clone(&self.generator).lock_owned().await;
        let fit = |plan: &&crate::history::generator::TopicPlan| {
            plan.kind == TopicKind::Truncated && !self.truncated.contains(&plan.name)
        };
        let Some(topic) = generator.topics().find(fit).map(|plan| plan.name.clone()) else {
            return Ok(false);
        };
        self.truncated.insert(topic.clone());
        let source = generator.session().clone();
        let batches = reader::read_partition(&source, &topic, 0).await?.batches.len();
        let lost = self.random.between(1, TRUNCATED_BATCHES_MAX) as usize;
        let keep = batches.saturating_sub(lost);
        let clusters = Arc::clone(&self.clusters);
        let diary = self.diary.clone();
        self.broker = Some(tokio::task::spawn_blocking(move || {
            let source = clusters.source();
            for broker in source.brokers() {
                broker.kill().map_err(fixture("killing a broker"))?;
            }
            let cut = source.truncate_log(&topic, 0, keep).map_err(fixture("truncating a log"))?;
            diary.note(&format!("truncated {topic}: {cut:?}"));
            generator.truncated(&topic, 0, cut.end_offset);
            std::thread::sleep(BROKER_AWAY);
            for broker in source.brokers() {
                broker.start().map_err(fixture("starting a broker"))?;
            }
            Ok(())
        }));
        Ok(true)
    }

    async fn broker_is_back(&mut self) -> Result<(), HistoryError> {
        match self.broker.take() {
            Some(broker) => broker.await.map_err(fixture("restarting a broker"))?,
            None => Ok(()),
        }
    }
}
