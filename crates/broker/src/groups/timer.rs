//! What time does to groups: sessions end, rebalances go on without the late, offsets expire.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::store::settle_in_background;
use super::{Group, Groups, Kind, modern};
use crate::broker::Shared;
use crate::catalog::Catalog;

/// Between two looks at the ages of all offsets (`offsets.retention.check.interval.ms` of Kafka).
const RETENTION_INTERVAL: Duration = Duration::from_secs(600);

/// Counts the time until `stop` turns true.
pub(crate) async fn run(broker: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let groups = &broker.groups;
    let mut retention_at = Instant::now() + RETENTION_INTERVAL;
    loop {
        let next = groups.plan();
        let until = next.map_or(retention_at, |next| next.min(retention_at));
        tokio::select! {
            () = sleep_until(until) => {}
            () = groups.timer.notified() => continue,
            _ = stop.wait_for(|&stop| stop) => return,
        }
        groups.expire(&broker.catalog);
        if Instant::now() >= retention_at {
            groups.expire_offsets(&broker.catalog);
            retention_at = Instant::now() + RETENTION_INTERVAL;
        }
    }
}

impl Groups {
    /// When something is due next.
    fn plan(&self) -> Option<Instant> {
        let mut inner = self.lock();
        inner.timer_ms = inner.groups.values().filter_map(Group::next_deadline_ms).min();
        let elapsed_ms = u64::try_from(inner.timer_ms?).unwrap_or(0);
        Some(self.started + Duration::from_millis(elapsed_ms))
    }

    /// Does what is due.
    fn expire(&self, catalog: &Catalog) {
        let (mut inner, now) = (self.lock(), self.now());
        let due = inner.groups.iter().filter(|(_, group)| {
            group.next_deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now.elapsed_ms)
        });
        let due: Vec<String> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            if let Some(Group { kind: Kind::Consumer(consumer), .. }) = inner.groups.get_mut(&id) {
                consumer.expire(now);
                match modern::write(catalog, &id, consumer, now) {
                    Ok(written) => settle_in_background(written),
                    // What is not written now is written with the next change.
                    Err(code) => tracing::error!(group = id, ?code, "a change was not written"),
                }
                continue;
            }
            let expired = self.change(catalog, &mut inner, &id, now, |group, effects| {
                group.expire(now, effects);
            });
            debug_assert!(expired.is_ok(), "only groups that there are have deadlines");
        }
    }

    /// Drops the offsets of groups that nobody has been in for too long, and groups of which
    /// nothing is left (KIP-211).
    pub(super) fn expire_offsets(&self, catalog: &Catalog) {
        let (mut inner, now) = (self.lock(), self.now());
        let retention_ms = self.settings.offsets_retention_minutes.saturating_mul(60_000);
        let vacant = inner.groups.iter().filter(|(_, group)| group.is_vacant());
        let vacant: Vec<_> = vacant
            .map(|(id, group)| {
                let since_ms = group.vacant_since_ms();
                (id.clone(), group.offsets.expired(retention_ms, since_ms, now.wall_ms))
            })
            .collect();
        for (id, expired) in vacant {
            let dropped = self.drop_offsets(catalog, &mut inner, &id, &expired, now.wall_ms);
            let is_bare = inner.groups.get(&id).is_some_and(|group| group.offsets.is_empty());
            let dropped = dropped.and_then(|written| match is_bare {
                true => self.drop_group(catalog, &mut inner, &id, now.wall_ms).map(Some),
                false => Ok(written),
            });
            match dropped {
                Ok(written) => settle_in_background(written),
                Err(code) => tracing::error!(group = id, ?code, "offsets were not dropped"),
            }
        }
    }
}

impl Group {
    /// Since when nobody is in it; 0 for a group that never had members: its offsets' time runs
    /// from their commits.
    fn vacant_since_ms(&self) -> i64 {
        match &self.kind {
            Kind::Classic(classic) => {
                classic.protocol_type().map_or(0, |_| classic.state_since_wall_ms())
            }
            Kind::Consumer(consumer) => consumer.vacant_since_wall_ms(),
        }
    }
}
