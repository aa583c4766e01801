//! Clusters start, stop, die and come back, on the same ports and with the same data.

use std::net::TcpStream;

use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion, Listener};

use crate::SHARED;

#[test]
fn every_version_starts_and_goes_away() {
    for version in [KafkaVersion::V2_8].into_iter().chain(KafkaVersion::ALL) {
        let cluster = KafkaCluster::start(KafkaOptions::new(version)).unwrap();
        let address = cluster.bootstrap();
        TcpStream::connect(&address).unwrap();
        let directory = cluster.broker(1).directory().to_owned();
        assert!(directory.join("data/meta.properties").exists());
        drop(cluster);
        assert!(TcpStream::connect(&address).is_err());
        assert!(!directory.exists());
    }
}

#[test]
fn a_killed_broker_comes_back_where_it_was() {
    let cluster = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3)).unwrap();
    let broker = cluster.broker(1);
    let (pid, address) = (broker.pid(), broker.address(Listener::Plain));
    broker.kill().unwrap();
    assert_eq!(broker.pid(), None);
    assert!(TcpStream::connect(cluster.bootstrap()).is_err());
    broker.start().unwrap();
    assert_ne!(broker.pid(), pid);
    assert_eq!(broker.address(Listener::Plain), address);
    cluster.restart().unwrap();
    TcpStream::connect(cluster.bootstrap()).unwrap();
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let options = KafkaOptions::new(KafkaVersion::V4_3).property("num.io.threads", "-1");
    let error = KafkaCluster::start(options).unwrap_err().to_string();
    assert!(error.contains("num.io.threads"), "{error}");
}

#[test]
fn a_shared_cluster_is_started_once() {
    let pids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..3).map(|_| scope.spawn(|| SHARED.get().broker(1).pid())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(pids[0].is_some() && pids.iter().all(|pid| *pid == pids[0]));
}
