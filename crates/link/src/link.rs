//! A link: takes its place in the group, mirrors while it owns the link, tells how it goes.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use farlog_client::Cluster;
use farlog_client::group::{Assignment, GroupError, GroupEvent, GroupMember};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::groups::Direction;
use crate::offsets::{LiveMaps, Translated};
use crate::options::LinkOptions;
use crate::ownership::{self, Lease, is_owner};
use crate::partition::{LinkContext, StatusCell};
use crate::publish;
use crate::session::{self, Setup, set_up};
use crate::state::{Claim, MirrorId};
use crate::status::{GroupsStatus, LinkState, LinkStatus};

/// Why a link cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The name would not fit the keys of the state topic.
    #[error("link name {0:?} may hold letters, digits and `._->:` only")]
    Name(String),
    /// Source and target are one cluster.
    #[error(
        "link {link}: source {source_alias} and target {target_alias} are the same cluster \
         ({cluster_id})"
    )]
    SameCluster {
        /// The link.
        link: String,
        /// Alias of the source.
        source_alias: String,
        /// Alias of the target.
        target_alias: String,
        /// Their cluster id.
        cluster_id: String,
    },
    /// The group will not have this instance.
    #[error("link {link}, instance {instance}: {source}")]
    Group {
        /// The link.
        link: String,
        /// The instance.
        instance: String,
        /// What the coordinator said.
        #[source]
        source: Box<GroupError>,
    },
}

/// One link of this process.
#[derive(Debug)]
pub struct Link {
    options: LinkOptions,
    source: Cluster,
    target: Cluster,
    clock: Clock,
    nonce: u32,
    shared: Arc<Shared>,
}

/// Looks at a link from elsewhere; cheap to clone.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    shared: Arc<Shared>,
    clock: Clock,
}

/// What a link tells of itself.
#[derive(Debug)]
pub(crate) struct Shared {
    head: Mutex<LinkStatus>,
    cells: Mutex<BTreeMap<(String, i32), StatusCell>>,
    groups: GroupsCell,
    /// Of the session under way.
    maps: Mutex<Option<LiveMaps>>,
}

/// How groups follow, as long as they do.
pub(crate) type GroupsCell = Arc<Mutex<Option<GroupsStatus>>>;

/// A session under way.
struct Owning {
    since_generation: i32,
    context: watch::Receiver<Option<Arc<LinkContext>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

// === impl Link ===

impl Link {
    /// A link that does nothing until it is run.
    pub fn new(options: LinkOptions, source: Cluster, target: Cluster, clock: Clock) -> Self {
        let head = LinkStatus {
            link: options.name.clone(),
            source: options.source_alias.clone(),
            target: options.target_alias.clone(),
            instance: options.instance.clone(),
            state: LinkState::Connecting,
            since_ms: clock.now_ms(),
            why: String::new(),
            at_ms: clock.now_ms(),
            partitions: Vec::new(),
            groups: None,
        };
        let (head, cells, maps) = (Mutex::new(head), Mutex::default(), Mutex::default());
        let shared = Shared { head, cells, maps, groups: Arc::default() };
        // A process draws its own random keys; no more is asked of a nonce.
        let nonce = RandomState::new().build_hasher().finish() as u32;
        Self { options, source, target, clock, nonce, shared: Arc::new(shared) }
    }

    /// A handle for looking at it.
    pub fn handle(&self) -> LinkHandle {
        LinkHandle { shared: Arc::clone(&self.shared), clock: self.clock.clone() }
    }

    /// Runs until `shutdown` turns true; what was sent is then acknowledged or timed out.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> Result<(), LinkError> {
        self.check()?;
        let publishing = publish::start(self.handle(), self.target.clone(), &self.options);
        let outcome = self.run_member(&mut shutdown).await;
        self.shared.set_state(LinkState::Stopped, self.clock.now_ms());
        publishing.last().await;
        outcome
    }

    fn check(&self) -> Result<(), LinkError> {
        let name = &self.options.name;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._->:".contains(c);
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(LinkError::Name(name.clone()));
        }
        if self.source.cluster_id() == self.target.cluster_id() {
            return Err(LinkError::SameCluster {
                link: name.clone(),
                source_alias: self.options.source_alias.clone(),
                target_alias: self.options.target_alias.clone(),
                cluster_id: self.source.cluster_id().to_owned(),
            });
        }
        Ok(())
    }

    async fn run_member(&self, shutdown: &mut watch::Receiver<bool>) -> Result<(), LinkError> {
        let options = &self.options;
        let static_instance = options.static_instance.then_some(options.instance.as_str());
        let group =
            ownership::group_options(&options.name, options.session_timeout, static_instance);
        let mut member = GroupMember::new(self.target.clone(), group);
        let mut owning: Option<Owning> = None;
        let mut backoff = Backoff::new();
        let outcome = loop {
            let since = owning.as_ref().map_or(0, |owning| owning.since_generation);
            let joined = tokio::select! {
                joined = member.join(ownership::metadata(since), ownership::assign) => joined,
                _ = shutdown.wait_for(|&shutdown| shutdown) => break Ok(()),
            };
            match joined {
                Ok(assignment) => {
                    backoff.reset();
                    self.assigned(&assignment, &member, &mut owning).await;
                }
                Err(error) if error.is_retriable() => {
                    self.give_up(&mut owning, &error.to_string()).await;
                    sleep(backoff.next()).await;
                    continue;
                }
                Err(error) => break Err(self.group_error(error)),
            }
            let event = tokio::select! {
                event = member.event() => event,
                _ = shutdown.wait_for(|&shutdown| shutdown) => break Ok(()),
            };
            match event {
                GroupEvent::Rebalance => {}
                GroupEvent::Lost(error) => {
                    self.give_up(&mut owning, &error.to_string()).await;
                    if !error.is_retriable() {
                        break Err(self.group_error(error));
                    }
                }
            }
        };
        if let Some(owning) = owning.take() {
            self.shared.set_state(LinkState::Draining, self.clock.now_ms());
            owning.drain().await;
        }
        if let Err(error) = member.leave().await {
            tracing::debug!(link = options.name, %error, "could not leave the group");
        }
        outcome
    }

    fn group_error(&self, source: GroupError) -> LinkError {
        let (link, instance) = (self.options.name.clone(), self.options.instance.clone());
        LinkError::Group { link, instance, source: Box::new(source) }
    }

    async fn assigned(
        &self,
        assignment: &Assignment,
        member: &GroupMember,
        owning: &mut Option<Owning>,
    ) {
        let owner = is_owner(&assignment.assignment);
        if !owner {
            self.give_up(owning, "another instance mirrors this link").await;
        } else if owning.is_none() {
            self.shared.set_state(LinkState::Starting, self.clock.now_ms());
            tracing::info!(
                link = self.options.name,
                instance = self.options.instance,
                generation = assignment.generation_id,
                "the link is this instance's"
            );
            *owning = Some(self.own(assignment.generation_id, member));
        }
    }

    async fn give_up(&self, owning: &mut Option<Owning>, why: &str) {
        if let Some(owning) = owning.take() {
            tracing::warn!(
                link = self.options.name,
                why,
                "this instance no longer mirrors the link"
            );
            owning.abort().await;
        }
        self.shared.clear_cells();
        self.shared.set_state(LinkState::Standby, self.clock.now_ms());
        self.shared.set_why(why);
    }

    /// Begins a session.
    fn own(&self, generation: i32, member: &GroupMember) -> Owning {
        let session_timeout = self.options.session_timeout;
        // A static member takes the place of one of the same name without waiting for it.
        let wait = if self.options.static_instance { session_timeout } else { Duration::ZERO };
        let lease = Lease::new(member.lease(), session_timeout, Instant::now() + wait);
        let claim = Claim { generation, nonce: self.nonce };
        let setup = Setup {
            options: self.options.clone(),
            clock: self.clock.clone(),
            source: self.source.clone(),
            target: self.target.clone(),
            claim,
            lease,
        };
        let (stop, stopping) = watch::channel(false);
        let (sender, context) = watch::channel(None);
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(hold(setup, shared, stopping, sender));
        Owning { since_generation: generation, context, stop, task }
    }
}

/// Sets up, again and again if need be, and runs the session.
async fn hold(
    setup: Setup,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
    tell: watch::Sender<Option<Arc<LinkContext>>>,
) {
    let mut backoff = Backoff::new();
    loop {
        let ready = tokio::select! {
            ready = set_up(setup.clone()) => ready,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        let (context, writing) = match ready {
            Ok(ready) => ready,
            Err(error) => {
                if error.is_transient() {
                    tracing::debug!(link = setup.options.name, %error, "cannot begin yet");
                } else {
                    tracing::error!(link = setup.options.name, %error, "cannot begin");
                }
                shared.set_why(&error.to_string());
                tokio::select! {
                    () = sleep(backoff.next()) => continue,
                    _ = stop.wait_for(|&stop| stop) => return,
                }
            }
        };
        shared.set_why("");
        shared.set_maps(Some(context.maps.clone()));
        tell.send_replace(Some(Arc::clone(&context)));
        tokio::select! {
            () = session::run(Arc::clone(&context), Arc::clone(&shared), stop.clone()) => {}
            // It ends when nobody can write any more.
            () = writing => {}
        }
        context.target_lanes.reset().await;
        return;
    }
}

// === impl Owning ===

impl Owning {
    /// Waits for what is under way.
    async fn drain(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the session's task failed");
        }
    }

    /// Ends everything now: nothing that waits to be sent may be sent.
    async fn abort(self) {
        self.task.abort();
        let context = self.context.borrow().clone();
        if let Some(context) = context {
            context.target_lanes.reset().await;
        }
    }
}

// === impl Shared ===

impl Shared {
    fn head(&self) -> MutexGuard<'_, LinkStatus> {
        self.head.lock().expect("no holder of this lock panics")
    }

    fn cells(&self) -> MutexGuard<'_, BTreeMap<(String, i32), StatusCell>> {
        self.cells.lock().expect("no holder of this lock panics")
    }

    pub(crate) fn set_why(&self, why: &str) {
        why.clone_into(&mut self.head().why);
    }

    fn set_state(&self, state: LinkState, now_ms: i64) {
        let mut head = self.head();
        if head.state != state {
            head.state = state;
            head.since_ms = now_ms;
            head.why.clear();
        }
    }

    /// Mirroring has begun, unless the link was given up meanwhile.
    pub(crate) fn begun(&self, now_ms: i64) {
        let mut head = self.head();
        if head.state == LinkState::Starting {
            head.state = LinkState::Active;
            head.since_ms = now_ms;
        }
    }

    pub(crate) fn groups(&self) -> GroupsCell {
        Arc::clone(&self.groups)
    }

    pub(crate) fn set_cell(&self, place: (String, i32), cell: StatusCell) {
        self.cells().insert(place, cell);
    }

    fn clear_cells(&self) {
        self.cells().clear();
        *self.groups.lock().expect("no holder of this lock panics") = None;
        self.set_maps(None);
    }

    fn maps(&self) -> MutexGuard<'_, Option<LiveMaps>> {
        self.maps.lock().expect("no holder of this lock panics")
    }

    fn set_maps(&self, maps: Option<LiveMaps>) {
        *self.maps() = maps;
    }
}

// === impl LinkHandle ===

impl LinkHandle {
    /// The link as of now.
    pub fn status(&self) -> LinkStatus {
        let now_ms = self.clock.now_ms();
        let partitions = self.shared.cells().values().map(|cell| cell.snapshot(now_ms)).collect();
        let groups = self.shared.groups.lock().expect("no holder of this lock panics").clone();
        LinkStatus { at_ms: now_ms, partitions, groups, ..self.shared.head().clone() }
    }

    /// A position on one side of a mirror as a position on the other, by the map that this instance
    /// keeps while it mirrors; `None` until it has read the mirror's position.
    pub fn translated(
        &self,
        mirror: &MirrorId,
        direction: Direction,
        position: i64,
    ) -> Option<Translated> {
        let maps = self.shared.maps().clone()?;
        let mapped = match direction {
            Direction::ToTarget => maps.to_target(mirror, position),
            Direction::ToSource => maps.to_source(mirror, position),
        };
        mapped.map(|mapped| mapped.resume)
    }
}
