//! The time during which one instance owns a link: looks at the topics every few seconds and keeps
//! one task for each mirror partition.

mod roster;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use farlog_client::RequestError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::apply::apply;
use crate::link::Shared;
use crate::observe;
use crate::partition::LinkContext;
use crate::plan::{LinkPlan, ObservedTopic, PlanRules, plan};
use crate::topics::{MirrorFloor, TimestampBounds};
use roster::Roster;
pub(crate) use setup::{Setup, set_up};

/// How often configs are read from both clusters.
const CONFIG_INTERVAL: Duration = Duration::from_secs(30);

/// How long what is under way may take to be acknowledged when the link stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Mirrors until `stop` turns true; what was sent is then waited for.
///
/// Dropping the future ends everything at once, but for produce connections: who drops it resets
/// them with [`LinkContext::target_lanes`].
pub(crate) async fn run(
    context: Arc<LinkContext>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let mut session = Session {
        roster: Roster::new(Arc::clone(&context), Arc::clone(&shared), stop.clone()),
        context,
        shared,
        source_configs: BTreeMap::new(),
        target_configs: BTreeMap::new(),
        configs_at: None,
    };
    while !*stop.borrow() {
        let begun = Instant::now();
        let created = session.refresh().await;
        // What was just created is mirrored at once.
        let wait = if created { Duration::ZERO } else { session.context.options.refresh_interval };
        tokio::select! {
            () = sleep_until(begun + wait) => {}
            _ = stop.wait_for(|&stop| stop) => {}
            () = session.roster.reap() => {}
        }
    }
    if timeout(DRAIN_TIMEOUT, session.roster.drained()).await.is_err() {
        tracing::warn!(
            link = session.context.options.name,
            "batches under way were not acknowledged in time; the next start finds out what of \
             them arrived"
        );
    }
}

struct Session {
    roster: Roster,
    context: Arc<LinkContext>,
    shared: Arc<Shared>,
    source_configs: Configs,
    target_configs: Configs,
    configs_at: Option<Instant>,
}

type Configs = BTreeMap<String, Vec<crate::topics::ConfigEntry>>;

impl Session {
    /// One look at both clusters; whether topics were created or grew.
    async fn refresh(&mut self) -> bool {
        match self.try_refresh().await {
            Ok(created) => created,
            Err(error) => {
                tracing::warn!(link = self.context.options.name, %error, "cannot look at topics");
                self.shared.set_why(&format!("cannot look at topics: {error}"));
                false
            }
        }
    }

    async fn try_refresh(&mut self) -> Result<bool, RequestError> {
        let context = Arc::clone(&self.context);
        let mut source = observe::topics(&context.source).await?;
        let mut target = observe::topics(&context.target).await?;
        let planned = self.plan(&mut source, &mut target).await?;
        let failures = apply(&context.target, &planned).await;
        for failure in &failures {
            tracing::error!(link = context.options.name, "{failure}");
        }
        let why = failures.first().map(ToString::to_string).unwrap_or_default();
        self.shared.set_why(&why);
        self.roster.update(&planned.mirrors, &source, &target);
        let grew = !planned.creates.is_empty() || !planned.expands.is_empty();
        Ok(grew && failures.is_empty())
    }

    async fn plan(
        &mut self,
        source: &mut BTreeMap<String, ObservedTopic>,
        target: &mut BTreeMap<String, ObservedTopic>,
    ) -> Result<LinkPlan, RequestError> {
        self.describe(source, target).await?;
        for (topics, configs) in
            [(&mut *source, &self.source_configs), (&mut *target, &self.target_configs)]
        {
            for (name, topic) in topics.iter_mut() {
                topic.configs = configs.get(name).cloned();
            }
        }
        let options = &self.context.options;
        let rules = PlanRules {
            selection: &options.topics,
            config_sync: options.config_sync.as_ref(),
            floor: &floor(target),
            replication_factor: options.replication_factor,
        };
        let source: Vec<ObservedTopic> = source.values().cloned().collect();
        let planned = plan(rules, &source, target).unwrap_or_else(|error| {
            tracing::error!(link = options.name, "{error}");
            LinkPlan::default()
        });
        for warning in &planned.warnings {
            tracing::debug!(link = options.name, "{warning}");
        }
        Ok(planned)
    }

    /// Reads the configs of selected topics: of new ones at once, of all every so often.
    async fn describe(
        &mut self,
        source: &BTreeMap<String, ObservedTopic>,
        target: &BTreeMap<String, ObservedTopic>,
    ) -> Result<(), RequestError> {
        let due = self.configs_at.is_none_or(|at| at.elapsed() >= CONFIG_INTERVAL);
        if due {
            self.configs_at = Some(Instant::now());
            self.source_configs.clear();
            self.target_configs.clear();
        }
        let selection = &self.context.options.topics;
        let selected = source.keys().filter(|name| {
            selection.select(name).is_ok_and(|selected| selected == crate::topics::Selected::Yes)
        });
        let mut ask_source = Vec::new();
        let mut ask_target = Vec::new();
        for name in selected {
            if !self.source_configs.contains_key(name) {
                ask_source.push(name.clone());
            }
            let remote = selection.naming.remote_topic(name).into_owned();
            if target.contains_key(&remote) && !self.target_configs.contains_key(&remote) {
                ask_target.push(remote);
            }
        }
        self.source_configs.extend(observe::configs(&self.context.source, &ask_source).await?);
        self.target_configs.extend(observe::configs(&self.context.target, &ask_target).await?);
        Ok(())
    }
}

/// The configs that mirrors need, as the target's brokers know them.
pub(crate) fn floor(target: &BTreeMap<String, ObservedTopic>) -> MirrorFloor {
    // KIP-937 renamed the bound; a described topic tells which of them the brokers know.
    let mut described = target.values().filter_map(|topic| topic.configs.as_ref());
    let old = described.next().is_some_and(|configs| {
        !configs.iter().any(|entry| entry.name == "message.timestamp.after.max.ms")
    });
    let timestamp_bounds =
        if old { TimestampBounds::Difference } else { TimestampBounds::BeforeAfter };
    MirrorFloor { timestamp_bounds, largest_batch_bytes: None }
}
