//! Groups follow the link: what they commit at the source is committed at the target, translated,
//! for as long as this instance owns the link.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farlog_client::TopicPartition;
use farlog_client::admin::ConfigResource;
use farlog_client::{Cluster, TopicSelection};
use farlog_wire::group_records::{OffsetKey, OffsetValue};
use farlog_wire::primitives::Uuid;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::board::{ASKED, Board, Due, GroupId, Look, Outcome};
use super::checkpoint::{CheckpointError, CheckpointKey, read_checkpoints};
use super::commits::Change;
use super::selection::GroupSelection;
use super::tail::{Read, tail};
use super::write::{Desk, write};
use crate::backoff::Backoff;
use crate::limits::{COMMITS_WAITING_MAX, GROUP_WRITES_IN_FLIGHT_MAX, STATUS_INTERVAL};
use crate::link::GroupsCell;
use crate::ownership::LeaseVerdict;
use crate::partition::LinkContext;
use crate::plan::MirrorTopic;
use crate::state::MirrorId;
use crate::status::{ForeignOffset, GroupTrouble, GroupsMode, GroupsStatus};
use crate::topic_writer::TopicWriter;

/// The mirrors of a link as they are now, by source topic.
pub(crate) type MirrorsNow = Arc<BTreeMap<String, MirrorTopic>>;

/// How often groups that wait for the mirror are looked at, at most.
const WAKE_INTERVAL: Duration = Duration::from_millis(2);
/// How often groups are asked for their offsets where what they commit may not be read.
const ASK_INTERVAL: Duration = Duration::from_secs(2);
/// For so long after reading failed groups are asked instead.
const ASK_FOR: Duration = Duration::from_secs(15);
/// How long Kafka keeps the offsets of a group without members, if it does not say.
const OFFSETS_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Offsets are committed again after this part of the time that the target keeps them.
const REFRESH_PART: u32 = 4;
/// And no more often than this.
const REFRESH_MIN: Duration = Duration::from_secs(60);

/// Makes groups follow for as long as it is polled.
pub(crate) async fn follow(
    context: Arc<LinkContext>,
    selection: GroupSelection,
    mirrors: watch::Receiver<MirrorsNow>,
    status: GroupsCell,
) {
    let (tell, reads) = mpsc::channel(COMMITS_WAITING_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(tail(context.options.clone(), context.source.clone(), tell));
    let refresh = refresh_interval(&context.target).await;
    let board = Board::new(selection.rewinds, refresh);
    let follower = Follower {
        context,
        selection,
        mirrors,
        status,
        board,
        reads,
        tasks,
        asking: JoinSet::new(),
        writes: JoinSet::new(),
        mode: GroupsMode::Starting,
        why: String::new(),
        ask_until: None,
        woken_at: Instant::now(),
        wake_at: None,
        written_total: 0,
    };
    follower.run().await;
}

struct Follower {
    context: Arc<LinkContext>,
    selection: GroupSelection,
    mirrors: watch::Receiver<MirrorsNow>,
    status: GroupsCell,
    board: Board,
    reads: mpsc::Receiver<Read>,
    /// Reading, and writing checkpoints.
    tasks: JoinSet<()>,
    asking: JoinSet<Result<Vec<Change>, String>>,
    writes: JoinSet<(GroupId, Outcome)>,
    mode: GroupsMode,
    why: String,
    ask_until: Option<Instant>,
    woken_at: Instant,
    wake_at: Option<Instant>,
    written_total: u64,
}

impl Follower {
    async fn run(mut self) {
        // Nothing is made at the target before there is anything to write.
        while self.board.totals().1 == 0 {
            tokio::select! {
                Some(read) = self.reads.recv() => self.take(read),
                () = sleep(ASK_INTERVAL) => self.tick(),
                Some(asked) = self.asking.join_next() => self.asked(asked),
            }
        }
        let desk = Arc::new(self.set_up().await);
        let mut moves = self.context.maps.moves();
        let mut ticks = tokio::time::interval(STATUS_INTERVAL.min(ASK_INTERVAL));
        loop {
            self.dispatch(&desk);
            let waits = self.board.waiting() > 0 && self.wake_at.is_none();
            let timer = earliest(self.wake_at, self.board.next_timer());
            tokio::select! {
                Some(read) = self.reads.recv() => self.take(read),
                Some(written) = self.writes.join_next() => match written {
                    Ok((group, outcome)) => self.finished(&group, outcome),
                    Err(error) => tracing::error!(%error, "writing offsets of a group failed"),
                },
                Some(asked) = self.asking.join_next() => self.asked(asked),
                Ok(()) = moves.changed(), if waits => self.moved(),
                Ok(()) = self.mirrors.changed() => self.board.wake_all(),
                () = until(timer) => self.wake(),
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    /// Reads the checkpoints, when nobody else writes them any more.
    async fn set_up(&mut self) -> Desk {
        let mut backoff = Backoff::new();
        // Of reading, which goes on meanwhile.
        let known_why = self.why.clone();
        loop {
            let why = if self.context.lease.allows(false) == LeaseVerdict::Granted {
                match read_checkpoints(&self.context.options, &self.context.target).await {
                    Ok((place, checkpoints)) => {
                        let (target, clock) =
                            (self.context.target.clone(), self.context.clock.clone());
                        let (writer, writing) = TopicWriter::new(target, place, clock);
                        self.tasks.spawn(writing);
                        self.why = known_why;
                        return Desk { writer, checkpoints: Mutex::new(checkpoints) };
                    }
                    Err(error) => {
                        if !error.is_transient() {
                            tracing::error!(link = self.context.options.name, %error,
                                "groups cannot follow");
                        }
                        error.to_string()
                    }
                }
            } else {
                "the lease of the instance before this one has not yet run out".to_owned()
            };
            self.why = why;
            self.tell();
            sleep(backoff.next()).await;
        }
    }

    fn take(&mut self, read: Read) {
        match read {
            Read::Whole(changes) | Read::New(changes) => {
                if self.ask_until.is_none() {
                    self.mode = GroupsMode::Following;
                }
                self.take_changes(changes);
            }
            Read::Impossible(why) => {
                if self.mode != GroupsMode::Asking {
                    tracing::warn!(
                        link = self.context.options.name,
                        why,
                        "groups are asked for their offsets every {ASK_INTERVAL:?} instead"
                    );
                }
                self.mode = GroupsMode::Asking;
                self.why = why;
                self.ask_until = Some(Instant::now() + ASK_FOR);
            }
        }
    }

    fn take_changes(&mut self, changes: Vec<Change>) {
        let now = Instant::now();
        for change in changes {
            let group = change.key.group.as_str();
            let follows = self.board.knows(group)
                || self.selection.selects(group).unwrap_or_else(|error| {
                    tracing::warn!(group, %error, "the group does not follow");
                    false
                });
            if follows {
                self.board.take(change, now);
            }
        }
    }

    fn dispatch(&mut self, desk: &Arc<Desk>) {
        while self.writes.len() < GROUP_WRITES_IN_FLIGHT_MAX {
            // Not marked as seen: that they are others has to wake all groups.
            let mirrors = Arc::clone(&self.mirrors.borrow());
            let (context, now) = (&self.context, Instant::now());
            let look = |group: &GroupId, partition: &TopicPartition, offset: i64| {
                look_up(context, desk, &mirrors, group, partition, offset)
            };
            let Some((group, due)) = self.board.next(now, look) else { return };
            let placed = due.into_iter().filter_map(|one| {
                let mirror = mirrors.get(&*one.partition.topic)?.clone();
                Some((one, mirror))
            });
            let placed: Vec<(Due, MirrorTopic)> = placed.collect();
            let (context, desk) = (Arc::clone(context), Arc::clone(desk));
            self.writes.spawn(async move {
                let outcome = write(&context, &desk, &group, placed).await;
                (group, outcome)
            });
        }
    }

    fn finished(&mut self, group: &GroupId, outcome: Outcome) {
        let link = self.context.options.name.as_str();
        // Every attempt says the same, until something changes.
        let is_news = !self.board.is_known(group, &outcome);
        match &outcome {
            Outcome::Written { committed, foreign } => {
                self.written_total += committed.len() as u64;
                for (partition, offset) in foreign {
                    tracing::debug!(link, group = &**group, %partition, offset, "not Farlog's");
                }
            }
            Outcome::LivesThere(residents) if residents.lives_in_both && is_news => {
                tracing::warn!(link, group = &**group, "runs in both clusters: {}", residents.who);
            }
            Outcome::LivesThere(residents) => {
                tracing::debug!(link, group = &**group, who = residents.who, "has members there");
            }
            Outcome::Failed(why) if is_news => {
                tracing::warn!(link, group = &**group, "not written: {why}");
            }
            Outcome::Failed(why) => tracing::debug!(link, group = &**group, why, "not written"),
        }
        self.board.finished(group, outcome, Instant::now());
    }

    fn moved(&mut self) {
        let due = self.woken_at + WAKE_INTERVAL;
        if due > Instant::now() {
            self.wake_at = Some(due);
        } else {
            self.wake();
        }
    }

    fn wake(&mut self) {
        let now = Instant::now();
        self.board.wake_timers(now);
        self.woken_at = now;
        let all = self.board.wake_waiting();
        self.wake_at = (!all).then(|| now + WAKE_INTERVAL);
    }

    /// What is done every so often.
    fn tick(&mut self) {
        if self.ask_until.is_some_and(|until| until < Instant::now()) {
            self.ask_until = None;
            self.mode = GroupsMode::Following;
            self.why.clear();
        }
        if self.ask_until.is_some() && self.asking.is_empty() {
            let (source, selection) = (self.context.source.clone(), self.selection.clone());
            self.asking.spawn(async move { ask(&source, &selection).await });
        }
        self.tell();
    }

    fn asked(&mut self, asked: Result<Result<Vec<Change>, String>, tokio::task::JoinError>) {
        match asked {
            Ok(Ok(changes)) => self.take_changes(changes),
            Ok(Err(why)) => self.why = why,
            Err(error) => tracing::error!(%error, "asking groups for their offsets failed"),
        }
    }

    fn tell(&self) {
        let (groups, offsets) = self.board.totals();
        let name = |group: &GroupId| group.to_string();
        let mut trouble: Vec<GroupTrouble> = self
            .board
            .living_there()
            .map(|(group, residents)| GroupTrouble {
                group: name(group),
                lives_in_both: residents.lives_in_both,
                why: format!(
                    "it has members at the target, and no longer follows: {}",
                    residents.who
                ),
            })
            .chain(self.board.failed().map(|(group, why)| GroupTrouble {
                group: name(group),
                lives_in_both: false,
                why: why.to_owned(),
            }))
            .collect();
        let mut foreign: Vec<ForeignOffset> = self
            .board
            .foreign()
            .map(|(group, partition, offset)| ForeignOffset {
                group: name(group),
                source_partition: partition.to_string(),
                offset,
            })
            .collect();
        let (trouble_total, foreign_total) = (trouble.len(), foreign.len());
        trouble.truncate(crate::limits::GROUPS_NAMED_MAX);
        foreign.truncate(crate::limits::GROUPS_NAMED_MAX);
        let status = GroupsStatus {
            mode: self.mode,
            why: self.why.clone(),
            groups,
            offsets,
            offsets_left_out: self.board.left_out(),
            groups_waiting: self.board.waiting(),
            written_total: self.written_total,
            trouble_total,
            trouble,
            foreign_total,
            foreign,
        };
        *self.status.lock().expect("no holder of this lock panics") = Some(status);
    }
}

/// What is known of the mirror of a partition that a group has committed.
fn look_up(
    context: &LinkContext,
    desk: &Desk,
    mirrors: &BTreeMap<String, MirrorTopic>,
    group: &GroupId,
    partition: &TopicPartition,
    offset: i64,
) -> Option<Look> {
    let mirror = mirrors.get(&*partition.topic)?;
    let id = MirrorId {
        link: context.options.name.clone(),
        source_topic_id: mirror.source_topic_id,
        target_topic_id: mirror.target_topic_id,
        partition: partition.partition,
    };
    let key = CheckpointKey {
        group: GroupId::clone(group),
        target_topic_id: mirror.target_topic_id,
        partition: partition.partition,
    };
    Some(Look {
        source_topic_id: mirror.source_topic_id,
        mapped: context.maps.to_target(&id, offset),
        last: desk.last(&key),
    })
}

/// What all selected groups have committed, asked of their coordinators.
async fn ask(source: &Cluster, selection: &GroupSelection) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    let groups = source.list_groups().await.map_err(|error| error.to_string())?;
    for listed in groups {
        let group = listed.group_id;
        // A pattern that gives up on a name is said where the group commits.
        if !selection.selects(&group).unwrap_or(false) {
            continue;
        }
        let offsets = source.group_offsets(&group).await.map_err(|error| error.to_string())?;
        changes.extend(offsets.into_iter().map(|(name, committed)| Change {
            key: OffsetKey {
                group: group.clone(),
                topic: name.topic.to_string(),
                partition: name.partition,
            },
            value: Some(OffsetValue {
                offset: committed.offset,
                leader_epoch: committed.leader_epoch.unwrap_or(-1),
                metadata: committed.metadata,
                commit_timestamp_ms: -1,
                expire_timestamp_ms: -1,
                topic_id: Uuid::default(),
            }),
            at: ASKED,
        }));
    }
    Ok(changes)
}

/// How often offsets have to be committed again, so that the target does not forget them.
async fn refresh_interval(target: &Cluster) -> Duration {
    const CONFIG: &str = "offsets.retention.minutes";
    let brokers: Vec<ConfigResource> = match target.metadata(&TopicSelection::None).await {
        Ok(metadata) => metadata.brokers.keys().map(|&id| ConfigResource::broker(id)).collect(),
        Err(_) => Vec::new(),
    };
    let described = target.describe_configs(&brokers).await.unwrap_or_default();
    let minutes = described.values().filter_map(|entries| {
        let entry = entries.as_ref().ok()?.get(CONFIG)?;
        entry.value.as_ref()?.parse::<u64>().ok()
    });
    // The least of all brokers: any of them may coordinate.
    let retention = minutes.min().map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    (retention.unwrap_or(OFFSETS_RETENTION) / REFRESH_PART).max(REFRESH_MIN)
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl CheckpointError {
    /// Whether waiting may help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Request(_) | Self::Read(_) | Self::NotYet => true,
            Self::Topic(error) => error.is_transient(),
            Self::Batch(_) | Self::Unknown { .. } => false,
        }
    }
}
