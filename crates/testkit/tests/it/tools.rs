//! Foreign clients against a real cluster: Kafka's tools, our Java clients, kcat.

use std::time::Duration;

use farlog_testkit::kafka::KafkaVersion;
use farlog_testkit::tools::{Tool, ToolError};

use crate::SHARED;

#[test]
fn java_clients_write_and_read_transactions() {
    let cluster = SHARED.get();
    let bootstrap = cluster.bootstrap();
    cluster.create_topic("tools-transactions", 2, &[("retention.ms", "-1")]).unwrap();
    // Ten transactions of three records, every fifth aborted.
    let produced = Tool::java_client(cluster.version(), "Produce")
        .args([&format!("bootstrap={bootstrap}"), "topic=tools-transactions", "count=30"])
        .args(["keys=4", "size=20", "headers=1", "timestamp=1000", "transaction=3", "abort=5"])
        .args(["tombstones=7", "print=true", "client.compression.type=zstd"])
        .run()
        .unwrap();
    let lines: Vec<&str> = produced.stdout.lines().collect();
    assert_eq!(lines.len(), 30);
    assert_eq!(lines.iter().filter(|line| line.ends_with(" aborted")).count(), 6);
    let dump = |committed: &str| {
        Tool::java_client(KafkaVersion::V3_9, "Dump")
            .args([&format!("bootstrap={bootstrap}"), "topic=tools-transactions", committed])
            .run()
            .unwrap()
            .stdout
    };
    assert_eq!(dump("committed=false").lines().count(), 30);
    let committed = dump("committed=true");
    assert_eq!(committed.lines().count(), 24);
    let one: Vec<&str> =
        committed.lines().find(|line| line.contains("\t9..")).unwrap().split('\t').collect();
    assert_eq!(one[2..], ["CreateTime", "1009", "k1", "9...................", "h0=header 0 of 9"]);
    // 0, 7, 21: 14 and 28 were in the fifth and the tenth transaction.
    assert_eq!(committed.lines().filter(|line| line.contains("\t\\N\t")).count(), 3);
}

#[test]
fn kcat_writes_and_reads() {
    let cluster = SHARED.get();
    let bootstrap = cluster.bootstrap();
    cluster.create_topic("tools-kcat", 1, &[("retention.ms", "-1")]).unwrap();
    Tool::kcat()
        .args(["-b", &bootstrap, "-P", "-t", "tools-kcat", "-K", ":"])
        .input("a:one\nb:two\n")
        .run()
        .unwrap();
    let read = Tool::kcat()
        .args(["-b", &bootstrap, "-C", "-t", "tools-kcat", "-e", "-q", "-f", "%o %k %s\n"])
        .run()
        .unwrap();
    assert_eq!(read.stdout, "0 a one\n1 b two\n");
}

#[test]
fn a_tool_that_fails_says_what_it_said() {
    let error = Tool::program("sh").args(["-c", "echo out; echo err >&2; exit 4"]).run();
    match error.unwrap_err() {
        ToolError::Failed { status, stdout, stderr, .. } => {
            assert_eq!((status.code(), stdout.as_str(), stderr.as_str()), (Some(4), "out", "err"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_tool_that_takes_too_long_is_killed() {
    let tool = Tool::program("sleep").arg(600).patience(Duration::from_millis(50));
    assert!(matches!(tool.run().unwrap_err(), ToolError::TimedOut { .. }));
}
