//! The oldest brokers that Farlog serves, as source and as target. Older and newer ones between
//! them: `cargo xtask soak --old-brokers`, `docs/broker-versions.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use farlog_testkit::history::orchestrator::Clusters;
use farlog_testkit::history::releases::{ReleasesOptions, run};
use farlog_testkit::kafka::KafkaVersion;
use tokio::task::block_in_place;

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
