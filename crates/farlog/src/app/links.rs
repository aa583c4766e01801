//! From the settings of a link to a task that connects to both clusters and mirrors.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use farlog_client::{Cluster, ConnectError};
use farlog_link::status::{LinkState, LinkStatus};
use farlog_link::{Clock, Link, LinkHandle, LinkOptions};
use tokio::sync::watch;
use tokio::time::sleep;

use super::clusters::SharedCluster;
use super::supervisor::{LinkFailure, LinkTask};
use crate::settings::topology::{LinkSettings, OnSourceDataLoss, ProducerIds, Start, Transactions};

/// Between two attempts to connect; each attempt is several quick ones already.
const CONNECT_INTERVAL: Duration = Duration::from_secs(2);

/// The link's options for an instance; of memory it has the default until it is given its share.
pub fn options(settings: &LinkSettings, instance: &str, is_named: bool) -> LinkOptions {
    // The only kind there is: what is not committed is never mirrored.
    let Transactions::CommittedOnly = settings.transactions;
    let mut options = LinkOptions::new(
        settings.name.as_str(),
        settings.source.as_str(),
        settings.target.as_str(),
        settings.topics.clone(),
    );
    options.start = match settings.start {
        Start::Earliest => farlog_link::Start::Earliest,
        Start::Latest => farlog_link::Start::Latest,
        Start::Timestamp { unix_ms } => farlog_link::Start::Timestamp(unix_ms),
    };
    options.offsets = settings.offsets;
    options.producer_ids = match settings.producer_ids {
        ProducerIds::Auto => farlog_link::ProducerIds::Auto,
        ProducerIds::Tagged => farlog_link::ProducerIds::Tagged,
        ProducerIds::Allocated => farlog_link::ProducerIds::Allocated,
    };
    options.on_source_data_loss = match settings.on_source_data_loss {
        OnSourceDataLoss::Continue => farlog_link::OnSourceDataLoss::Continue,
        OnSourceDataLoss::Stop => farlog_link::OnSourceDataLoss::Stop,
    };
    options.recompress = settings.recompress;
    options.replication_factor = settings.replication_factor.unwrap_or(options.replication_factor);
    // "Only at start" is an interval that outlives the process.
    options.refresh_interval = settings.refresh_interval.unwrap_or(FOREVER);
    options.groups.clone_from(&settings.groups);
    options.config_sync = settings.config_sync.as_ref().map(|sync| sync.policy.clone());
    if let Some(sync) = &settings.config_sync {
        options.config_interval = sync.interval;
    }
    options.session_timeout = settings.session_timeout.unwrap_or(options.session_timeout);
    options.rate_bytes_per_second = settings.rate_limit_bytes_per_second;
    if let Some(batches) = settings.limits.in_flight_batches {
        options.in_flight_max = Some(usize::try_from(batches).unwrap_or(usize::MAX));
    }
    let mirrormaker = settings.mirrormaker.as_ref();
    options.mirrormaker = mirrormaker.map(|mirrormaker| mirrormaker.topics.clone());
    options.instance = instance.to_owned();
    options.static_instance = is_named;
    options
}

/// A year: longer than anyone runs a process without a restart.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A task that runs the link, connecting to its clusters first, however long that takes.
pub fn task(
    options: LinkOptions,
    source: Arc<SharedCluster>,
    target: Arc<SharedCluster>,
    clock: Clock,
) -> LinkTask {
    let name = options.name.clone();
    let board = Board::new(&options, clock.clone());
    let told = board.clone();
    LinkTask {
        name,
        status: Arc::new(move || told.status()),
        start: Arc::new(move |shutdown| {
            let (options, clock, board) = (options.clone(), clock.clone(), board.clone());
            let ends = [source.clone(), target.clone()];
            Box::pin(async move {
                let ended = run(options, &ends, clock, &board, shutdown).await;
                board.ended(ended.as_ref().err().map(ToString::to_string));
                ended
            })
        }),
    }
}

async fn run(
    options: LinkOptions,
    [source, target]: &[Arc<SharedCluster>; 2],
    clock: Clock,
    board: &Board,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), LinkFailure> {
    board.say(LinkState::Connecting, "connecting to both clusters");
    let both = async {
        // The target first: it remembers where to go on.
        let target = connect(target, &options.name, board).await?;
        let source = connect(source, &options.name, board).await?;
        Ok::<_, LinkFailure>((source, target))
    };
    let (source, target) = tokio::select! {
        both = both => both?,
        _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
    };
    let name = options.name.clone();
    let link = Link::new(options, source, target, clock);
    board.hand_over(link.handle());
    link.run(shutdown).await.map_err(|source| LinkFailure::Link { link: name, source })
}

/// Connects, again and again while waiting can help.
async fn connect(
    cluster: &SharedCluster,
    link: &str,
    board: &Board,
) -> Result<Cluster, LinkFailure> {
    let alias = cluster.alias();
    loop {
        match cluster.get().await {
            Ok(cluster) => return Ok(cluster),
            Err(source) if source.is_retriable() => {
                tracing::warn!(link, cluster = alias, error = %source, "waiting for a cluster");
                let why = format!("cluster {alias} cannot be reached: {source}");
                board.say(LinkState::Connecting, &why);
                sleep(CONNECT_INTERVAL).await;
            }
            Err(source) => return Err(refused(link, alias, source)),
        }
    }
}

fn refused(link: &str, alias: &str, source: ConnectError) -> LinkFailure {
    let (link, alias) = (link.to_owned(), alias.to_owned());
    LinkFailure::Connect { link, alias, source: Box::new(source) }
}

/// Where a link's status is read: its own while it runs, ours before and after.
#[derive(Clone, Debug)]
struct Board {
    clock: Clock,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug)]
struct Shown {
    ours: LinkStatus,
    handle: Option<LinkHandle>,
}

impl Board {
    fn new(options: &LinkOptions, clock: Clock) -> Self {
        let now_ms = clock.now_ms();
        let ours = LinkStatus {
            link: options.name.clone(),
            source: options.source_alias.clone(),
            target: options.target_alias.clone(),
            instance: options.instance.clone(),
            state: LinkState::Connecting,
            since_ms: now_ms,
            why: String::new(),
            at_ms: now_ms,
            partitions: Vec::new(),
            groups: None,
        };
        Self { clock, shown: Arc::new(Mutex::new(Shown { ours, handle: None })) }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        // Whatever a panicking holder left is still the best there is to show.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> LinkStatus {
        let shown = self.shown();
        match &shown.handle {
            Some(handle) => handle.status(),
            None => LinkStatus { at_ms: self.clock.now_ms(), ..shown.ours.clone() },
        }
    }

    fn say(&self, state: LinkState, why: &str) {
        let mut shown = self.shown();
        shown.handle = None;
        if shown.ours.state != state {
            shown.ours.state = state;
            shown.ours.since_ms = self.clock.now_ms();
        }
        why.clone_into(&mut shown.ours.why);
    }

    fn hand_over(&self, handle: LinkHandle) {
        self.shown().handle = Some(handle);
    }

    /// The last figures stay visible; a failure takes their place.
    fn ended(&self, failure: Option<String>) {
        match failure {
            Some(why) => self.say(LinkState::Stopped, &why),
            None if self.shown().handle.is_none() => self.say(LinkState::Stopped, ""),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
