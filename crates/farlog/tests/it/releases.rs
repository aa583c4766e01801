//! The oldest brokers that Farlog serves, as source and as target. Older and newer ones between
//! them: `cargo xtask soak --old-brokers`, `docs/broker-versions.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use farlog_testkit::history::orchestrator::Clusters;
use farlog_testkit::history::releases::{ReleasesOptions, run};
use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion};
use tokio::task::block_in_place;

use crate::binary::{Place, farlog, get, json};
use crate::run::{TARGET, connect, fill};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_2_8_is_a_source_and_a_target() {
    let clusters =
        block_in_place(|| Clusters::start_releases(KafkaVersion::V2_8, KafkaVersion::V4_3));
    let clusters = Arc::new(clusters.unwrap());
    let reversed = Arc::new(clusters.reversed());
    for (name, seed, clusters) in [("from-old", 1, clusters), ("to-old", 2, reversed)] {
        let options = ReleasesOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_farlog")),
            name: name.to_owned(),
            seed,
            kills: 4,
            broker_restarts: 0,
        };
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("releases-{name}.log"));
        let summary = run(options, clusters, &log).await.unwrap();
        println!("{summary}");
        assert!(summary.is_clean(), "{summary}");
        assert!(summary.java_records > 1_000, "{summary}");
    }
}

/// Without topic ids a topic that was created again could not be told from the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_topic_ids_is_refused_by_name() {
    let options = KafkaOptions::new(KafkaVersion::V2_8);
    let options = options.property("inter.broker.protocol.version", "2.7");
    let source = block_in_place(|| KafkaCluster::start(options).unwrap());
    fill(&connect(&source).await, "orders").await;
    let servers = TARGET.get().bootstrap().replace(',', "', '");
    let settings = format!(
        "version: 1\n\
         clusters:\n  \
           old: {{ bootstrap-servers: ['{}'] }}\n  \
           new: {{ bootstrap-servers: ['{servers}'] }}\n\
         links:\n  \
           old-new: {{ source: old, target: new, topics: [orders], replication-factor: 1 }}\n",
        source.bootstrap()
    );
    let place = Place::new("farlog.yaml", &settings);
    let refusal = "source cluster old gives topic orders no topic id";
    let planned = farlog(&["plan", place.file()]);
    let said = String::from_utf8_lossy(&planned.stdout);
    assert!(!planned.status.success() && said.contains(refusal), "{planned:?}");
    let mut instance = place.run("old", &[]);
    let address = instance.address();
    let link = || json(&get(address, "/status"))["links"][0].clone();
    instance.until("the refusal", |_| link()["why"].to_string().contains(refusal));
    assert_eq!(link()["state"], "starting");
    assert!(link()["why"].to_string().contains("inter.broker.protocol.version 2.8"));
}
