//! How much clients may produce and fetch: quotas by user and client id, as Kafka finds them
//! (KIP-13, KIP-55), and the time that who takes more must wait (KIP-219). Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::limits::QUOTA_RATES_MAX;

/// Length of one sample, and how many are remembered (`quota.window.size.seconds`,
/// `quota.window.num`).
const SAMPLE_MS: i64 = 1_000;
const SAMPLES: i64 = 11;

/// How long a client's rate is remembered when it does nothing.
const IDLE_MS: i64 = 3_600_000;

/// What a quota is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EntityType {
    User,
    ClientId,
    Ip,
}

/// Whose quota: a name for each type, `None` for all names that have none of their own.
pub(crate) type Entity = BTreeMap<EntityType, Option<String>>;

/// All quotas.
pub(crate) type Quotas = BTreeMap<Entity, BTreeMap<String, f64>>;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    Produced,
    Fetched,
}

/// Who share a rate: those of the same user, of the same client id, or of both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sharing {
    counted: Counted,
    user: Option<String>,
    client_id: Option<String>,
}

/// The rates of all clients that have quotas.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<Sharing, Rate>>);

/// Bytes of the last seconds.
#[derive(Debug, Default)]
struct Rate {
    /// When a sample began, and its bytes.
    samples: VecDeque<(i64, f64)>,
}

impl EntityType {
    const ALL: [Self; 3] = [Self::User, Self::ClientId, Self::Ip];

    /// Kafka's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ClientId => "client-id",
            Self::Ip => "ip",
        }
    }

    /// The one of this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl Counted {
    fn key(self) -> &'static str {
        match self {
            Self::Produced => "producer_byte_rate",
            Self::Fetched => "consumer_byte_rate",
        }
    }
}

impl Rates {
    /// Counts bytes; how long their sender must wait now, in milliseconds.
    pub(crate) fn record(
        &self,
        quotas: &Quotas,
        counted: Counted,
        (user, client_id): (&str, &str),
        bytes: usize,
        now_ms: i64,
    ) -> i64 {
        let Some((bytes_per_s, sharing)) = find(quotas, counted, user, client_id) else { return 0 };
        // Every change is complete before anything can panic.
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= QUOTA_RATES_MAX && !rates.contains_key(&sharing) {
            rates.retain(|_, rate| rate.is_used_since(now_ms - IDLE_MS));
        }
        if rates.len() >= QUOTA_RATES_MAX && !rates.contains_key(&sharing) {
            return 0;
        }
        rates.entry(sharing).or_default().record(bytes as f64, bytes_per_s, now_ms)
    }
}

/// The quota of a client, and who shares it. The order is Kafka's: user and client id, the user,
/// the client id; names before defaults, and the user's before the client's.
fn find(quotas: &Quotas, counted: Counted, user: &str, client_id: &str) -> Option<(f64, Sharing)> {
    use EntityType::{ClientId, User};
    let (user, client_id) = (Some(user.to_owned()), Some(client_id.to_owned()));
    let entities: [&[(EntityType, &Option<String>)]; 8] = [
        &[(User, &user), (ClientId, &client_id)],
        &[(User, &user), (ClientId, &None)],
        &[(User, &user)],
        &[(User, &None), (ClientId, &client_id)],
        &[(User, &None), (ClientId, &None)],
        &[(User, &None)],
        &[(ClientId, &client_id)],
        &[(ClientId, &None)],
    ];
    entities.into_iter().find_map(|parts| {
        let entity: Entity = parts.iter().map(|&(kind, name)| (kind, name.clone())).collect();
        let bytes_per_s = *quotas.get(&entity)?.get(counted.key())?;
        let part = |kind, name: &Option<String>| {
            entity.contains_key(&kind).then(|| name.clone()).flatten()
        };
        let (user, client_id) = (part(User, &user), part(ClientId, &client_id));
        Some((bytes_per_s, Sharing { counted, user, client_id }))
    })
}

impl Rate {
    fn record(&mut self, bytes: f64, bytes_per_s: f64, now_ms: i64) -> i64 {
        while self.samples.front().is_some_and(|(at, _)| now_ms - at >= SAMPLES * SAMPLE_MS) {
            self.samples.pop_front();
        }
        match self.samples.back_mut() {
            Some((at, sum)) if now_ms - *at < SAMPLE_MS => *sum += bytes,
            _ => self.samples.push_back((now_ms, bytes)),
        }
        let total: f64 = self.samples.iter().map(|(_, bytes)| bytes).sum();
        let begun_ms = self.samples.front().map_or(now_ms, |(at, _)| *at);
        // As if all samples but the one under way had passed: who just begins is not measured by
        // its first second.
        let elapsed_ms = now_ms - begun_ms;
        let missing = (SAMPLES - 1 - elapsed_ms / SAMPLE_MS).max(0);
        let window_ms = (elapsed_ms + missing * SAMPLE_MS) as f64;
        let observed = total / window_ms * 1_000.0;
        if observed <= bytes_per_s {
            return 0;
        }
        // After so long without a byte the rate is what it may be.
        ((observed - bytes_per_s) / bytes_per_s * window_ms).round() as i64
    }

    fn is_used_since(&self, since_ms: i64) -> bool {
        self.samples.back().is_some_and(|(at, _)| *at >= since_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(parts: &[(EntityType, Option<&str>)]) -> Entity {
        parts.iter().map(|&(kind, name)| (kind, name.map(str::to_owned))).collect()
    }

    fn quota(entity: Entity, bytes_per_s: f64) -> (Entity, BTreeMap<String, f64>) {
        (entity, [("producer_byte_rate".to_owned(), bytes_per_s)].into())
    }

    #[test]
    fn who_takes_more_waits_until_the_rate_is_right() {
        let quotas: Quotas = [quota(entity(&[(EntityType::User, None)]), 1_000.0)].into();
        let rates = Rates::default();
        let record = |user, bytes, now_ms| {
            rates.record(&quotas, Counted::Produced, (user, "c"), bytes, now_ms)
        };
        assert_eq!(record("a", 10_000, 0), 0);
        assert_eq!(record("a", 10_000, 0), 10_000);
        // Each user has a rate of their own, and fetching is counted by itself.
        assert_eq!(record("b", 1, 0), 0);
        assert_eq!(rates.record(&quotas, Counted::Fetched, ("a", "c"), 1_000_000, 0), 0);
        // Everything is forgotten after the samples.
        assert_eq!(record("a", 10_000, 11_000), 0);
    }

    #[test]
    fn the_most_special_quota_counts() {
        use EntityType::{ClientId, User};
        let mut quotas: Quotas = [quota(entity(&[(ClientId, None)]), 1.0)].into();
        let found = |quotas: &Quotas| find(quotas, Counted::Produced, "u", "c").unwrap();
        assert_eq!(found(&quotas).1.client_id.as_deref(), Some("c"));
        assert_eq!(found(&quotas).1.user, None);
        let more = [
            entity(&[(ClientId, Some("c"))]),
            entity(&[(User, None)]),
            entity(&[(User, None), (ClientId, None)]),
            entity(&[(User, None), (ClientId, Some("c"))]),
            entity(&[(User, Some("u"))]),
            entity(&[(User, Some("u")), (ClientId, None)]),
            entity(&[(User, Some("u")), (ClientId, Some("c"))]),
        ];
        for (bytes_per_s, entity) in (2..).zip(more) {
            let bytes_per_s = f64::from(bytes_per_s);
            quotas.extend([quota(entity, bytes_per_s)]);
            assert_eq!(found(&quotas).0, bytes_per_s);
        }
    }
}
