//! What a file compiles to.

use std::time::Duration;

use farlog_link::topics::{Naming, Selected};
use proptest::prelude::*;

use super::super::surroundings::Imagined;
use super::super::topology::{
    LinkSettings, OnSourceDataLoss, ProducerIds, SaslMechanism, Start, Topology,
};
use super::super::{LoadOptions, load};

const CLUSTERS: &str = "version: 1\nclusters:\n  a: { bootstrap-servers: [a:9092] }\n  \
                        b: { bootstrap-servers: [b:9092] }\n";

fn accepted(text: &str) -> Topology {
    let mut imagined = Imagined::default();
    imagined.variables.insert("FACTOR".into(), "3".into());
    imagined.variables.insert("LOGIN".into(), "me:pa:ss".into());
    imagined.files.insert("/run/topic".into(), b"orders\n".to_vec());
    let properties = b"sasl.jaas.config=PlainLoginModule required username=\"u\" password=\"p\";\n\
                       security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN";
    imagined.files.insert("/run/properties".into(), properties.to_vec());
    let loaded = load("farlog.yaml", text.as_bytes(), &LoadOptions::default(), &imagined);
    assert!(loaded.is_accepted(), "{}", loaded.report.render());
    loaded.topology
}

fn link(fields: &str) -> LinkSettings {
    let text = format!("{CLUSTERS}links:\n  l: {{ source: a, target: b, {fields} }}\n");
    accepted(&text).links.remove(0)
}

#[test]
fn defaults_of_a_link() {
    let link = link("topics: [orders]");
    assert_eq!((link.name.as_str(), link.place.line), ("l", 6));
    assert_eq!(link.topics.naming.naming, Naming::Same);
    assert_eq!(link.topics.select("orders").unwrap(), Selected::Yes);
    assert_eq!(link.topics.select("heartbeats").unwrap(), Selected::NotAskedFor);
    assert_eq!(link.replication_factor, None);
    assert_eq!(link.start, Start::Earliest);
    assert_eq!(link.refresh_interval, Some(Duration::from_secs(5)));
    assert_eq!(link.rate_limit_bytes_per_second, None);
    let sync = link.config_sync.unwrap();
    assert_eq!(sync.interval, Duration::from_secs(60));
    assert!(sync.policy.exclude.unwrap().matches("min.insync.replicas").unwrap());
}

#[test]
fn every_field_of_a_link_arrives() {
    let link = link(
        "topics: ['${file:/run/topic}'], topic-prefixes: [p.], topic-patterns: ['x-\\d+'], \
         exclude: { topics: [p.q] }, naming: prefixed, separator: _, \
         start: { timestamp: '1970-01-01T00:00:01Z' }, offsets: translate, \
         transactions: committed-only, replication-factor: '${env:FACTOR}', \
         producer-ids: allocated, rate-limit: 8MiB/s, \
         config-sync: { exclude: ['retention\\..*'], interval: 2m }, refresh-interval: 500ms, \
         on-source-data-loss: stop, \
         limits: { fetch-partition-bytes: 1MiB, in-flight-batches: 7, memory-bytes: 1000000 }",
    );
    for (topic, selected) in [
        ("orders", Selected::Yes),
        ("p.x", Selected::Yes),
        ("p.q", Selected::NotAskedFor),
        ("x-12", Selected::Yes),
        ("x-a", Selected::NotAskedFor),
    ] {
        assert_eq!(link.topics.select(topic).unwrap(), selected, "{topic}");
    }
    assert_eq!(link.topics.naming.remote_topic("orders"), "a_orders");
    assert_eq!(link.start, Start::Timestamp { unix_ms: 1_000 });
    assert_eq!(link.replication_factor, Some(3));
    assert_eq!(link.producer_ids, ProducerIds::Allocated);
    assert_eq!(link.rate_limit_bytes_per_second, Some(8 << 20));
    assert_eq!(link.refresh_interval, Some(Duration::from_millis(500)));
    assert_eq!(link.on_source_data_loss, OnSourceDataLoss::Stop);
    assert_eq!(link.limits.fetch_partition_bytes, Some(1 << 20));
    assert_eq!(link.limits.in_flight_batches, Some(7));
    assert_eq!(link.limits.memory_bytes, Some(1_000_000));
    let sync = link.config_sync.unwrap();
    assert_eq!(sync.interval, Duration::from_secs(120));
    assert!(sync.policy.exclude.unwrap().matches("retention.ms").unwrap());
}

#[test]
fn config_sync_can_be_off_and_starts_can_be_words() {
    let link = link("topics: [t], start: latest, config-sync: { enabled: false }");
    assert_eq!(link.start, Start::Latest);
    assert_eq!(link.config_sync, None);
}

#[test]
fn families_compile_to_one_link_per_target() {
    let text = format!(
        "{CLUSTERS}  c: {{ bootstrap-servers: [c:9092] }}\nfamilies:\n  pay:\n    \
         topic-prefixes: [pay.]\n    write-cluster: a\n    failover-to: [b, c]\n  off:\n    \
         topics: [x]\n    pattern: none\n"
    );
    let names: Vec<String> = accepted(&text).links.into_iter().map(|link| link.name).collect();
    assert_eq!(names, ["pay:a->b", "pay:a->c"]);
}

#[test]
fn credentials_are_a_login_or_properties() {
    let text = |credentials: &str| {
        format!(
            "version: 1\nclusters:\n  a: {{ bootstrap-servers: [a:1], credentials: \
             '{credentials}' }}\n  b: {{ bootstrap-servers: [b:1] }}\nlinks:\n  l: {{ source: a, \
             target: b, topics: [t] }}\n"
        )
    };
    let topology = accepted(&text("${env:LOGIN}"));
    let security = &topology.clusters["a"].security;
    assert!(security.tls.is_some());
    let sasl = security.sasl.as_ref().unwrap();
    assert_eq!((sasl.username.as_str(), sasl.password.0.as_str()), ("me", "pa:ss"));
    assert_eq!(sasl.mechanism, SaslMechanism::ScramSha512);
    let topology = accepted(&text("${file:/run/properties}"));
    let security = &topology.clusters["a"].security;
    assert!(security.tls.is_none());
    assert_eq!(security.sasl.as_ref().unwrap().mechanism, SaslMechanism::Plain);
}

#[test]
fn a_dollar_can_be_written() {
    let link = link("topic-patterns: ['a$${1}']");
    assert_eq!(format!("{:?}", link.topics.filter.include), "[Pattern(JavaPattern(a${1}))]");
}

/// Pieces of YAML and of Farlog's own words.
const YAML_PIECES: &str = "(version|clusters|links|families|[a-z\\-]{1,9}|\
                           [:\\-\\[\\]{}&*!|>'\"%@`#$,? \n]|  ){0,60}";
/// Pieces of a MirrorMaker 2 file.
const MM2_PIECES: &str = "(clusters|A|B|->|topics|=|,|\\.|\\\\|enabled|true|bootstrap.servers|\
                          [a-z]|\n|\\$\\{|\\}|:){0,60}";

/// Loads and renders whatever it is.
fn touch(name: &str, text: &str) {
    let options = LoadOptions { strict: true };
    let loaded = load(name, text.as_bytes(), &options, &Imagined::default());
    let _ = loaded.report.render();
}

proptest! {
    // Each case makes the schema anew, which takes milliseconds.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_panics(text in YAML_PIECES) {
        touch("farlog.yaml", &text);
    }

    #[test]
    fn no_field_value_panics(
        field in "(source|topics|start|naming|limits|exclude|rate-limit)",
        value in ".{0,20}",
    ) {
        let link = format!("links:\n  l:\n    source: a\n    target: b\n    {field}: {value}\n");
        touch("farlog.yaml", &format!("{CLUSTERS}{link}"));
    }

    #[test]
    fn no_properties_panic(text in MM2_PIECES) {
        touch("x.properties", &format!("clusters=A,B\nA->B.enabled=true\n{text}"));
    }
}
