//! Every client that people use against our broker, feature by feature.
//!
//! Programs in other languages (`tests/clients`, and `Features.java` of the testkit) try all
//! features of their client and print a line for each; what Kafka's tools and kcat can do is in
//! `foreign/tools.rs` and `foreign/kcat.rs`. Each client has a broker of its own.
//! `docs/broker-clients.md` is made from what came out, by
//! `FARLOG_CLIENTS= FARLOG_WRITE_DOCS=1 cargo test -p farlog-broker --test it foreign`.
//! `FARLOG_CLIENTS=text` runs the clients with that text in their name, and `FARLOG_CLIENTS=` all
//! of them, which is what the document is held against.

mod document;
mod kcat;
mod programs;
mod tools;

use std::collections::BTreeMap;
use std::env;

use farlog_broker::{BrokerOptions, BrokerSettings};
use farlog_testkit::clients::{Language, NoClient};
use farlog_testkit::jars::KafkaVersion;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::fixture::{Running, loopback, start_with};

/// Clients under way at a time.
const AT_ONCE: usize = 3;

/// What is tried: its name in programs, and what it means.
const FEATURES: &[(&str, &str)] = &[
    ("codec-none", "produce and consume, uncompressed"),
    ("codec-gzip", "gzip"),
    ("codec-snappy", "snappy"),
    ("codec-lz4", "lz4"),
    ("codec-zstd", "zstd"),
    ("headers", "headers, null keys and values"),
    ("large-record", "a record of 5 MB"),
    ("too-large-refused", "a record beyond `max.message.bytes` is refused"),
    ("idempotent", "idempotent producer"),
    ("transactions", "transactions: commit, abort, read_committed"),
    ("transaction-offsets", "offsets in transactions"),
    ("transaction-fencing", "a newer producer fences the older"),
    ("group-rebalance", "group: join, share, leave"),
    ("group-resume", "group: go on from the committed offset"),
    ("static-member", "static member comes back to its partitions"),
    ("new-group-rebalance", "group of KIP-848: join, share, leave"),
    ("new-group-resume", "group of KIP-848: go on from the committed offset"),
    ("offsets-by-time", "offsets by time"),
    ("delete-records", "delete records"),
    ("admin-topics", "topics: create, grow, describe, delete"),
    ("admin-configs", "configs: describe, alter"),
    ("admin-groups", "groups: describe, list, offsets"),
    ("admin-cluster", "describe the cluster"),
];

/// How a feature went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cell {
    /// As it should.
    Works,
    /// The client does not have it, and why.
    Cannot(String),
    /// It should have worked, and this happened.
    Failed(String),
}

type Cells = BTreeMap<&'static str, Cell>;

/// What a client can be asked to do, given a broker.
type Attempt = fn(&Running) -> BoxFuture<'_, Result<Cells, NoClient>>;

/// A client that is tried.
struct Client {
    /// As the table has it, with the version that is pinned.
    name: String,
    attempt: Attempt,
}

fn clients() -> Vec<Client> {
    let one = |name: &str, attempt: Attempt| Client { name: name.to_owned(), attempt };
    let version = |language, name| programs::pinned(language, name);
    vec![
        one(&format!("Java {}", KafkaVersion::V4_3), |broker| {
            Box::pin(programs::java(broker, KafkaVersion::V4_3))
        }),
        one(&format!("Java {}", KafkaVersion::V3_9), |broker| {
            Box::pin(programs::java(broker, KafkaVersion::V3_9))
        }),
        one(&format!("Kafka's tools {}", KafkaVersion::V4_3), |broker| {
            Box::pin(async { Ok(tools::attempt(broker).await) })
        }),
        one("kcat", |broker| Box::pin(async { Ok(kcat::attempt(broker).await) })),
        one(&version(Language::Python, "confluent-kafka"), |broker| {
            Box::pin(programs::native(broker, Language::Python, "librdkafka.py"))
        }),
        one(&version(Language::Go, "franz-go"), |broker| {
            Box::pin(programs::native(broker, Language::Go, "main.go"))
        }),
        one(&version(Language::Node, "kafkajs"), |broker| {
            Box::pin(programs::native(broker, Language::Node, "client.js"))
        }),
        one(&version(Language::Python, "aiokafka"), |broker| {
            Box::pin(programs::native(broker, Language::Python, "aio.py"))
        }),
        one(&version(Language::Python, "kafka-python"), |broker| {
            Box::pin(programs::native(broker, Language::Python, "pure.py"))
        }),
    ]
}

/// Not on every push: of some hundred runs of 3.0.12 one in eight ended with a consumer that stood
/// still for good, in a group that the broker had as empty, with nothing sent and nothing unread,
/// its two threads waking each other.
const BY_HAND: &str = "kafka-python";

async fn try_client(client: &Client) -> Option<Cells> {
    let settings = BrokerSettings {
        // Nobody waits for the next heartbeat of a group.
        group_consumer_heartbeat_interval_ms: 200,
        ..BrokerSettings::default()
    };
    let broker = start_with(BrokerOptions { settings, ..BrokerOptions::in_memory(loopback()) });
    let broker = broker.await;
    let cells = match (client.attempt)(&broker).await {
        Ok(mut cells) => {
            programs::look_into_batches(&broker, &mut cells).await;
            Some(cells)
        }
        Err(NoClient::Absent { why }) => {
            // `cargo xtask` says it where it is seen.
            println!("NOT RUN: {why}");
            None
        }
        Err(not_fetched) => panic!("{not_fetched}"),
    };
    broker.stop().await;
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_clients_find_what_they_need() {
    let clients = clients();
    let wanted = env::var("FARLOG_CLIENTS").ok();
    let is_wanted = |client: &&Client| match &wanted {
        Some(wanted) => client.name.contains(wanted),
        None => !client.name.starts_with(BY_HAND),
    };
    let tried: Vec<(&str, Option<Cells>)> = stream::iter(clients.iter().filter(is_wanted))
        .map(|client| async move { (client.name.as_str(), try_client(client).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut failures = Vec::new();
    for (client, cells) in &tried {
        for (name, _) in FEATURES {
            match cells.as_ref().map(|cells| cells.get(name)) {
                Some(Some(Cell::Failed(why))) => failures.push(format!("{client}: {name}: {why}")),
                Some(None) => failures.push(format!("{client}: {name}: nothing was said of it")),
                _ => {}
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    if wanted.as_deref() == Some("") {
        document::check(&tried);
    }
}
