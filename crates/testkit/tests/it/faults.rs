//! Faults of clusters as their clients see them: proxies in between, frozen brokers, lost tails,
//! unclean elections.

use std::time::Duration;

use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion, Listener, Truncated};
use farlog_testkit::proxy::FaultProxy;
use farlog_testkit::tools::Tool;

fn produce(bootstrap: &str, topic: &str, more: &[&str]) -> String {
    Tool::java_client(KafkaVersion::V4_3, "Produce")
        .args([&format!("bootstrap={bootstrap}"), &format!("topic={topic}")])
        .args(more)
        .run()
        .expect("the records are acknowledged")
        .stdout
}

/// The numbers of the topic's records, in order.
fn numbers(bootstrap: &str, topic: &str) -> Vec<u32> {
    let dump = Tool::java_client(KafkaVersion::V4_3, "Dump")
        .args([&format!("bootstrap={bootstrap}"), &format!("topic={topic}")])
        .run()
        .expect("the topic is read");
    let value = |line: &str| line.split('\t').nth(5).and_then(|value| value.parse().ok());
    dump.stdout.lines().map(|line| value(line).expect("a number")).collect()
}

#[test]
fn clients_of_a_proxied_listener_stay_behind_the_proxy() {
    let proxy = FaultProxy::start().unwrap();
    let options = KafkaOptions::new(KafkaVersion::V4_3).behind(&proxy);
    let cluster = KafkaCluster::start(options).unwrap();
    let bootstrap = cluster.bootstrap_of(Listener::Proxied);
    assert_eq!(bootstrap, proxy.address().to_string());
    cluster.create_topic("proxied", 1, &[]).unwrap();
    assert_eq!(proxy.counts().accepted, 0);
    produce(&bootstrap, "proxied", &["count=100", "size=1000"]);
    let counts = proxy.counts();
    assert!(counts.accepted >= 2 && counts.to_server_bytes > 100_000, "{counts:?}");
    proxy.refuse();
    let listing = ["-b", &bootstrap, "-L", "-m", "1"];
    assert!(Tool::kcat().args(listing).run().is_err());
    proxy.accept();
    Tool::kcat().args(listing).run().unwrap();
    // A frozen broker keeps its sockets, and answers nobody until it is thawed.
    cluster.pause().unwrap();
    assert!(Tool::kcat().args(listing).run().is_err());
    cluster.resume().unwrap();
    Tool::kcat().args(listing).run().unwrap();
}

#[test]
fn a_log_that_lost_its_tail_comes_back_shorter_under_a_new_epoch() {
    for version in KafkaVersion::ALL {
        let options = if version < KafkaVersion::V4_3 {
            KafkaOptions::new(version).controller_apart()
        } else {
            KafkaOptions::new(version)
        };
        let cluster = KafkaCluster::start(options).unwrap();
        let bootstrap = cluster.bootstrap();
        cluster.create_topic("tail", 1, &[]).unwrap();
        produce(&bootstrap, "tail", &["count=20", "batch=2"]);
        cluster.broker(1).kill().unwrap();
        let epoch_before = leader_epoch(&cluster, "tail");
        let truncated = cluster.truncate_log("tail", 0, 6).unwrap();
        let expected = Truncated { kept_batches: 6, removed_batches: 4, end_offset: 12 };
        assert_eq!(truncated, expected);
        cluster.broker(1).start().unwrap();
        let kept: Vec<u32> = (0..12).collect();
        assert_eq!(numbers(&bootstrap, "tail"), kept, "{version}");
        assert!(leader_epoch(&cluster, "tail") > epoch_before, "{version}");
        produce(&bootstrap, "tail", &["count=2", "first=100"]);
        assert_eq!(numbers(&bootstrap, "tail"), [kept, vec![100, 101]].concat(), "{version}");
    }
}

/// The last epoch in which the broker led partition 0, from the file in which it notes them: a
/// version, a count, and then lines of epoch and start offset.
fn leader_epoch(cluster: &KafkaCluster, topic: &str) -> i32 {
    let file = cluster.log_dir(1).join(format!("{topic}-0/leader-epoch-checkpoint"));
    let text = std::fs::read_to_string(file).expect("the file is there");
    let last = text.lines().skip(2).last().expect("an epoch");
    last.split(' ').next().and_then(|epoch| epoch.parse().ok()).expect("a number")
}

#[test]
fn a_stale_replica_leads_after_an_unclean_election() {
    let options =
        KafkaOptions::new(KafkaVersion::V4_3).brokers(2).property("replica.lag.time.max.ms", 1500);
    let cluster = KafkaCluster::start(options).unwrap();
    let bootstrap = cluster.bootstrap();
    let configs = [("unclean.leader.election.enable", "true"), ("min.insync.replicas", "1")];
    cluster.create_topic("unclean", 1, &configs).unwrap();
    produce(&bootstrap, "unclean", &["count=5", "client.acks=all"]);
    cluster.broker(2).kill().unwrap();
    // Acknowledged by all in-sync replicas: by then broker 2 is none of them.
    produce(&bootstrap, "unclean", &["count=5", "first=5", "client.acks=all"]);
    cluster.broker(1).kill().unwrap();
    cluster.broker(2).start().unwrap();
    let address = cluster.broker(2).address(Listener::Plain).unwrap().to_string();
    eventually_has_leader(&address);
    assert_eq!(numbers(&address, "unclean"), [0, 1, 2, 3, 4]);
    cluster.broker(1).start().unwrap();
    assert_eq!(numbers(&bootstrap, "unclean"), [0, 1, 2, 3, 4]);
}

fn eventually_has_leader(bootstrap: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let listing = Tool::kcat().args(["-b", bootstrap, "-L", "-t", "unclean"]).run();
        if listing.is_ok_and(|output| output.stdout.contains("leader 2,")) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "broker 2 never leads");
        std::thread::sleep(Duration::from_millis(100));
    }
}
