//! The same scenarios against a real Kafka and against our broker: the answers must be the same.
//!
//! # The language
//! Files are `tests/scenarios/*.scenario`. `case NAME` begins a case, every other line is one step,
//! `#` begins a comment. A step is a command, words, `option=value`s and bare flags; `"…"` keeps
//! spaces together.
//!
//! - Topics, groups and transactional ids have names of the case's own; `=name` is that name
//!   itself, `=x*250` is 250 times x, `{v}` in a name is the version of the request. `id(t)` and,
//!   in versions that name topics by id, `t` stand for the id of the topic; `?` for an id that no
//!   topic has.
//! - Times are milliseconds, or `now`, `now-2h`, `now+3d`. `$name` is a number that an earlier step
//!   gave a name with `as=name`.
//! - `version=3`, `version=0,4` or `version=all` (that our broker announces) for any step; without
//!   it, the highest that our broker announces.
//! - A `&` before a step lets it go on by itself on another connection; `join` waits for all such
//!   steps and tells their answers.
//! - Records are `key:value+header=value@time#times`, separated by commas; `~` is null, `*9` nine
//!   bytes, the time is now if it is not given.
//!
//! - `login USER` (alice, bob or carol) and `logout` say who does the steps that follow: on a
//!   listener with SASL, as a user who may do nothing but what `allow` allows; at first it is one
//!   who may do everything.
//!
//! The commands are in `differential/steps/`, one function each. `produce` writes its batches
//! itself, right or wrong: `count= last-delta= deltas= base-offset= magic= length= batch-epoch=
//! attributes= max-timestamp= base-timestamp= garbage= cut= zeros=` and the flags `bad-crc twice
//! txn control log-time`.
//!
//! Each answer becomes lines without what is no broker's promise: ids, ports, throttling, messages
//! for people. The lines of both brokers must be equal, or be told beneath the step:
//!
//! ```text
//! list-offsets t 0 -6
//!   kafka| t-0 ok offset=0 time=-1 epoch=0
//!   ours| t-0 UNSUPPORTED_VERSION offset=-1 time=-1 epoch=-1
//!   because| nothing is tiered
//! ```
//!
//! `docs/broker-differences.md` is made from these. `FARLOG_SCENARIOS=text` runs the cases with
//! that text in `file/name`, and prints what was said.

mod batch;
mod document;
mod runner;
mod script;
mod steps;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use farlog_broker::{
    AuthorizerOptions, BrokerOptions, ListenerOptions, SaslMechanism, SecurityProtocol,
    TokenOptions, TokenTrust, Users,
};
use farlog_testkit::kafka::{KafkaOptions, KafkaVersion, Listener, SharedKafka};
use farlog_wire::ApiKey;
use futures_util::stream::{self, StreamExt};

use crate::fixture::{loopback, start, start_with};
use runner::{Announced, Ways, announced, compare, say, versions_of};

static KAFKA: SharedKafka = SharedKafka::new(|| {
    KafkaOptions::new(KafkaVersion::V4_3)
        // Records of 1970 must not be gone in the middle of a scenario.
        .property("log.initial.task.delay.ms", 3_600_000)
        .property("log.retention.check.interval.ms", 3_600_000)
        // Nor may an assignment wait for more members to come, or be made in the background.
        .property("group.consumer.assignment.interval.ms", 0)
        .property("group.consumer.assignor.offload.enable", false)
        // Clients of the plain listener may do everything.
        .listener(Listener::Sasl)
        .authorizer()
        .user("alice", "alice-secret")
        .user("bob", "bob-secret")
        .user("carol", "carol-secret")
        // Tokens, too, those that nobody has signed.
        .property("listener.name.sasl.sasl.enabled.mechanisms", MECHANISMS)
        .property("listener.name.sasl.oauthbearer.sasl.jaas.config", TOKENS)
        // Scenarios wait for the cleaner.
        .property("log.cleaner.backoff.ms", CLEANER_BACKOFF_MS)
});

const MECHANISMS: &str = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER";

/// The broker has to have a token itself, for nobody.
const TOKENS: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule \
                      required unsecuredLoginStringClaim_sub=\"kafka\";";

/// Between two looks of a cleaner for something to do, in milliseconds.
const CLEANER_BACKOFF_MS: i64 = 50;

/// Our broker with the same listeners, users and authorizer.
fn options() -> BrokerOptions {
    let mut options = BrokerOptions::in_memory(loopback());
    options.settings.log_cleaner_backoff_ms = CLEANER_BACKOFF_MS;
    let protocol = SecurityProtocol::SaslPlaintext;
    options.listeners.push(ListenerOptions { protocol, ..ListenerOptions::plaintext(loopback()) });
    options.security.users =
        Users::parse("alice=alice-secret\nbob=bob-secret\ncarol=carol-secret").expect("users");
    options.security.mechanisms = SaslMechanism::ALL.into_iter().collect();
    options.security.tokens = Some(TokenOptions {
        trust: TokenTrust::Unsecured,
        issuer: None,
        audiences: Vec::new(),
        principal_claim: "sub".to_owned(),
    });
    options.security.authorizer = Some(AuthorizerOptions {
        super_users: ["User:ANONYMOUS".to_owned()].into(),
        allow_without_acl: false,
    });
    options
}

/// Cases under way at a time.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn both_brokers_give_the_same_answers() {
    let broker = start_with(options()).await;
    let kafka = tokio::task::spawn_blocking(|| {
        let kafka = KAFKA.get();
        [Listener::Plain, Listener::Sasl].map(|listener| kafka.bootstrap_of(listener))
    });
    let [plain, sasl] =
        kafka.await.expect("Kafka starts").map(|address| address.parse().expect("an address"));
    let kafka = Ways { plain, sasl };
    let [plain, sasl] = broker.handle.addresses()[..] else { panic!("two listeners") };
    let ours = Ways { plain, sasl };
    let announced =
        Announced { kafka: announced(kafka.plain).await, ours: announced(ours.plain).await };
    let beyond = announced.beyond_kafka();
    assert!(beyond.is_empty(), "versions are announced that Kafka does not serve: {beyond:?}");
    let wanted = env::var("FARLOG_SCENARIOS").ok();
    let mut cases = script::all_cases();
    cases.retain(|case| wanted.as_ref().is_none_or(|wanted| case.id().contains(wanted)));
    assert!(!cases.is_empty(), "no case is called so");
    let count = cases.len();
    let said = stream::iter(cases)
        .map(|case| {
            let announced = announced.clone();
            tokio::spawn(async move {
                let (kafka, ours) =
                    tokio::join!(say(&case, kafka, &announced), say(&case, ours, &announced),);
                (case, kafka, ours)
            })
        })
        .buffered(AT_ONCE);
    let failures: Vec<String> = said
        .map(|done| {
            let (case, kafka, ours) = done.expect("a case that can be run");
            if wanted.is_some() {
                println!("{}", runner::transcript(&case, &kafka, &ours));
            }
            compare(&case, &kafka, &ours)
        })
        .filter(|failure| std::future::ready(!failure.is_empty()))
        .collect()
        .await;
    broker.stop().await;
    assert!(
        failures.is_empty(),
        "{} of {count} cases differ:\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test]
async fn every_version_that_is_announced_is_tried() {
    let broker = start().await;
    let ours = announced(broker.handle.address()).await;
    let announced = Announced { kafka: ours.clone(), ours: ours.clone() };
    broker.stop().await;
    let mut tried: BTreeMap<ApiKey, BTreeSet<i16>> = BTreeMap::new();
    for case in script::all_cases() {
        for step in &case.steps {
            let args = script::Args::parse(step.text.trim_start_matches('&').trim());
            if let Some(api) = steps::api_of(&args.command) {
                tried.entry(api).or_default().extend(versions_of(&args, &announced));
            }
        }
    }
    let mut missing = Vec::new();
    for (api, versions) in &tried {
        let Some(range) = ours.get(api) else { continue };
        let left = (range.min..=range.max).filter(|version| !versions.contains(version));
        missing.extend(left.map(|version| format!("{api:?} v{version}")));
    }
    assert!(missing.is_empty(), "no scenario tries {missing:?}");
}

#[test]
fn the_list_of_differences_is_current() {
    document::check(&script::all_cases());
}
