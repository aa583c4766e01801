//! Subscriptions by pattern (KIP-848): which topics they stand for.
//!
//! Kafka looks them up in the background; here it is done with the heartbeat that brings a new
//! pattern, and again with one that comes later than [`REFRESH_MS`], as often as Kafka at most.

use std::collections::BTreeSet;

use super::{ConsumerGroup, ConsumerMember, Now, Topics};
use crate::name_pattern::NamePattern;

/// How long what a pattern stands for is not looked up again
/// (`REGEX_BATCH_REFRESH_MIN_INTERVAL_MS` of Kafka).
const REFRESH_MS: i64 = 10_000;

/// What a pattern stood for when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) topics: BTreeSet<String>,
    pub(super) at_wall_ms: i64,
    /// When to look again, in elapsed milliseconds.
    due_ms: i64,
}

impl Resolved {
    /// As it was written: to be looked up again soon.
    pub(super) fn restored(topics: Vec<String>, at_wall_ms: i64, now: Now) -> Self {
        Self { topics: topics.into_iter().collect(), at_wall_ms, due_ms: now.elapsed_ms }
    }
}

impl ConsumerGroup {
    /// All that a member reads.
    pub(super) fn topics_of<'a>(
        &'a self,
        member: &'a ConsumerMember,
    ) -> impl Iterator<Item = &'a String> {
        let pattern = member.pattern.as_ref().and_then(|pattern| self.patterns.get(pattern));
        let matching = pattern.into_iter().flat_map(|resolved| &resolved.topics);
        member.topics.iter().chain(matching)
    }

    /// Looks up what has not been, or not for long, and forgets what nobody wants any more.
    pub(super) fn resolve(&mut self, topics: &dyn Topics, now: Now) {
        let wanted: BTreeSet<String> =
            self.members.values().filter_map(|member| member.pattern.clone()).collect();
        self.patterns.retain(|pattern, _| wanted.contains(pattern));
        for pattern in wanted {
            let known = self.patterns.get(&pattern);
            if known.is_some_and(|known| now.elapsed_ms < known.due_ms) {
                continue;
            }
            // It was checked when it came.
            let Ok(compiled) = NamePattern::new(&pattern) else { continue };
            let found = topics.matching(&compiled);
            let due_ms = now.elapsed_ms.saturating_add(REFRESH_MS);
            match self.patterns.get_mut(&pattern) {
                Some(known) if known.topics == found => known.due_ms = due_ms,
                _ => {
                    let resolved = Resolved { topics: found, at_wall_ms: now.wall_ms, due_ms };
                    self.patterns.insert(pattern, resolved);
                }
            }
        }
    }
}
