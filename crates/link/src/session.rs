//! The time during which one instance owns a link: looks at the topics every few seconds and keeps
//! one task for each mirror partition.

mod preservable;
mod roster;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::apply::apply;
use crate::groups::{MirrorsNow, follow};
use crate::link::Shared;
use crate::mm2::Emission;
use crate::observe::{PlanError, Planner};
use crate::partition::LinkContext;
use crate::plan::MirrorTopic;
pub(crate) use preservable::check_preservable;
use roster::Roster;
pub(crate) use setup::{STATE_TOPIC, Setup, set_up};

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
    let (mirrors, mirrors_now) = watch::channel(MirrorsNow::default());
    // Dropping it ends the following with the session.
    let mut following = JoinSet::new();
    if let Some(selection) = context.options.groups.clone() {
        following.spawn(follow(Arc::clone(&context), selection, mirrors_now, shared.groups()));
    }
    let mut session = Session {
        mirrors,
        roster: Roster::new(Arc::clone(&context), Arc::clone(&shared), stop.clone()),
        emission: Emission::start(&context),
        context,
        shared,
        planner: Planner::default(),
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
    session.emission.last().await;
}

struct Session {
    roster: Roster,
    planner: Planner,
    emission: Emission,
    context: Arc<LinkContext>,
    shared: Arc<Shared>,
    /// What groups that follow are told of.
    mirrors: watch::Sender<MirrorsNow>,
}

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

    async fn try_refresh(&mut self) -> Result<bool, PlanError> {
        let context = Arc::clone(&self.context);
        let planned = self.planner.plan(&context.options, &context.source, &context.target).await?;
        for warning in &planned.plan.warnings {
            tracing::debug!(link = context.options.name, "{warning}");
        }
        let failures = apply(&context.target, &planned.plan).await;
        for failure in &failures {
            tracing::error!(link = context.options.name, "{failure}");
        }
        self.shared.begun(context.clock.now_ms());
        let why = failures.first().map(ToString::to_string).unwrap_or_default();
        self.shared.set_why(&why);
        self.tell_mirrors(&planned.plan.mirrors);
        self.emission.mirrors(&planned.plan.mirrors);
        self.roster.update(&planned.plan.mirrors, &planned.source, &planned.target);
        let grew = !planned.plan.creates.is_empty() || !planned.plan.expands.is_empty();
        Ok(grew && failures.is_empty())
    }

    fn tell_mirrors(&self, mirrors: &[MirrorTopic]) {
        let by_source = |mirror: &MirrorTopic| (mirror.source_topic.clone(), mirror.clone());
        let now: BTreeMap<String, MirrorTopic> = mirrors.iter().map(by_source).collect();
        self.mirrors.send_if_modified(|known| {
            let changed = **known != now;
            if changed {
                *known = Arc::new(now);
            }
            changed
        });
    }
}
