//! Transactions of other people's clients.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use farlog_broker::BrokerOptions;
use farlog_client::admin::{IsolationLevel, OffsetSpec};
use farlog_client::{Cluster, TopicPartition};
use farlog_store::{OpenError, Store, StoreOptions};
use farlog_testkit::tools::Tool;
use farlog_wire::ErrorCode;

use crate::clients::{KAFKA, run};
use crate::fixture::{Running, loopback, start, start_with};
use crate::transactions::{Producer, SINCE, state};

fn produce(broker: &Running, topic: &str) -> Tool {
    Tool::java_client(KAFKA, "Produce")
        .args([format!("bootstrap={}", broker.bootstrap()), format!("topic={topic}")])
}

async fn dump(broker: &Running, topic: &str, committed: bool) -> String {
    let tool = Tool::java_client(KAFKA, "Dump").args([
        format!("bootstrap={}", broker.bootstrap()),
        format!("topic={topic}"),
        format!("committed={committed}"),
    ]);
    run(tool).await
}

fn tool(broker: &Running, class: &str) -> Tool {
    Tool::kafka(KAFKA, &format!("org.apache.kafka.tools.{class}"))
        .args(["--bootstrap-server", &broker.bootstrap()])
}

/// Kafka's copier, which commits what it read in the transaction in which it writes, and aborts
/// now and then.
fn copier(broker: &Running, output: &str, transaction_size: usize) -> Tool {
    Tool::kafka(KAFKA, "org.apache.kafka.tools.TransactionalMessageCopier")
        .args(["--broker-list", &broker.bootstrap(), "--input-topic", "input"])
        .args(["--input-partition", "0", "--output-topic", output])
        .args(["--consumer-group", output, "--transactional-id", output])
        .args(["--enable-random-aborts", "--group-mode"])
        .args(["--transaction-size", &transaction_size.to_string()])
}

/// The values that were dumped.
fn values(dumped: String) -> Vec<String> {
    let value = |line: &str| line.split('\t').nth(5).expect("a value").to_owned();
    dumped.lines().map(value).collect()
}

/// One of Kafka's commands about transactions.
async fn command(broker: &Running, arguments: &[&str]) -> String {
    run(tool(broker, "TransactionsCommand").args(arguments)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_producer_commits_and_aborts() {
    let broker = start().await;
    broker.topic("java", 2, &[]).await;
    let produced = run(produce(&broker, "java").args([
        "count=300",
        "size=20",
        "transaction=10",
        "abort=5",
        "print=true",
    ]))
    .await;
    assert_eq!(produced.lines().count(), 300);
    assert_eq!(dump(&broker, "java", false).await.lines().count(), 300);
    assert_eq!(dump(&broker, "java", true).await.lines().count(), 240);
    let described = command(&broker, &["describe", "--transactional-id", "produce-java"]).await;
    assert!(described.contains("CompleteAbort"), "{described}");
    // KIP-890: every end raised the epoch.
    assert!(described.split_whitespace().any(|word| word == "30"), "{described}");
    let listed = command(&broker, &["list"]).await;
    assert!(listed.contains("produce-java"), "{listed}");
    // Kafka's own reader of the log understands what is in it.
    let log = tool(&broker, "consumer.ConsoleConsumer")
        .args(["--topic", "__transaction_state", "--from-beginning", "--max-messages", "91"])
        .args(["--formatter", "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter"])
        .args(["--command-property", "exclude.internal.topics=false"]);
    let log = run(log).await;
    // One for the start, and three at least for each transaction.
    assert_eq!(log.matches(r#""transactionStatus":"#).count(), 91, "{log}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_copier_copies_exactly_once_with_its_offsets() {
    let broker = start().await;
    broker.topic("input", 1, &[]).await;
    run(produce(&broker, "input").args(["count=500", "size=20"])).await;
    let input = values(dump(&broker, "input", true).await);
    // With the group's metadata the coordinator checks the member and its generation (KIP-447).
    for (output, mode) in [("by-group", None), ("by-member", Some("--use-group-metadata"))] {
        broker.topic(output, 1, &[]).await;
        let copied = run(copier(&broker, output, 20).args(mode)).await;
        assert!(copied.contains(r#""remaining":0"#), "{copied}");
        assert_eq!(values(dump(&broker, output, true).await), input);
        let offsets = run(tool(&broker, "consumer.group.ConsumerGroupCommand").args([
            "--describe",
            "--group",
            output,
            "--offsets",
        ]))
        .await;
        let row = offsets.lines().find(|line| line.starts_with(output)).expect("a row");
        assert_eq!(row.split_whitespace().nth(3), Some("500"), "{offsets}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_commits_and_the_console_consumer_sees_it() {
    let broker = start().await;
    broker.topic("kcat", 1, &[]).await;
    let kcat = |input: &str| {
        Tool::kcat()
            .args(["-b", &broker.bootstrap(), "-P", "-t", "kcat"])
            .args(["-X", "transactional.id=kcat"])
            .input(input)
    };
    run(kcat("one\ntwo\n")).await;
    run(kcat("three\n")).await;
    let cluster = broker.client().await;
    assert_eq!(state(&cluster, "kcat").await, "CompleteCommit");
    // What is open is not read.
    let mut open = Producer::begin(&cluster, "open", 60_000).await;
    assert_eq!(open.send("kcat", 0, SINCE).await, Ok(5));
    let read = tool(&broker, "consumer.ConsoleConsumer")
        .args(["--topic", "kcat", "--partition", "0", "--offset", "earliest"])
        .args(["--isolation-level", "read_committed", "--max-messages", "3"]);
    assert_eq!(run(read).await, "one\ntwo\nthree\n");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_command_finds_and_aborts_what_is_open() {
    let broker = start().await;
    broker.topic("t", 1, &[]).await;
    let cluster = broker.client().await;
    let mut open = Producer::begin(&cluster, "open", 60_000).await;
    assert_eq!(open.send("t", 0, SINCE).await, Ok(0));
    let producers = command(&broker, &["describe-producers", "--topic", "t", "--partition", "0"]);
    let producers = producers.await;
    let row = producers.lines().nth(1).expect("a producer");
    assert_eq!(row.split_whitespace().last(), Some("0"), "{producers}");
    let hanging = command(&broker, &["find-hanging", "--broker-id", "1"]).await;
    assert_eq!(hanging.lines().count(), 1, "it is not past its timeout: {hanging}");
    command(&broker, &["abort", "--topic", "t", "--partition", "0", "--start-offset", "0"]).await;
    let producers = command(&broker, &["describe-producers", "--topic", "t", "--partition", "0"]);
    assert!(producers.await.contains("None"));
    command(&broker, &["forceTerminateTransaction", "--transactionalId", "open"]).await;
    assert_eq!(open.end(true, SINCE).await, Err(ErrorCode::PRODUCER_FENCED));
    broker.stop().await;
}

/// A broker over a directory, which the one before may still be leaving.
async fn start_in(directory: &Path, listen: SocketAddr) -> Running {
    let (store, found) = loop {
        match Store::open(StoreOptions::new(directory)).await {
            Ok(opened) => break opened,
            Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("the store does not open: {error}"),
        }
    };
    start_with(BrokerOptions { store, recovered: found.logs, ..BrokerOptions::in_memory(listen) })
        .await
}

/// How far a committed reader may read.
async fn committed_end(cluster: &Cluster, topic: &str) -> i64 {
    let partition = TopicPartition::new(topic, 0);
    let asked = [(partition.clone(), OffsetSpec::Latest)];
    let mut ends = cluster.list_offsets(IsolationLevel::ReadCommitted, asked).await;
    let end = ends.remove(&partition).expect("asked for").expect("an answer");
    end.offset.expect("a log has an end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_on_exactly_once_while_the_broker_starts_again_and_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut broker = start_in(directory.path(), loopback()).await;
    let address = broker.handle.address();
    broker.topic("input", 1, &[]).await;
    broker.topic("output", 1, &[]).await;
    run(produce(&broker, "input").args(["count=400", "size=20"])).await;
    let copying = copier(&broker, "output", 5).arg("--use-group-metadata");
    let copying = tokio::task::spawn_blocking(move || copying.start()).await.expect("no panic");
    let copying = copying.expect("it starts");
    for end in [60, 160, 260, 360] {
        // Requests are under way, and transactions open, when the broker goes.
        let cluster = broker.client().await;
        while committed_end(&cluster, "output").await < end {}
        broker.stop().await;
        broker = start_in(directory.path(), address).await;
    }
    let copied = tokio::task::spawn_blocking(move || copying.wait(Duration::from_secs(120)));
    let copied = copied.await.expect("no panic").expect("it copies all");
    assert!(copied.stdout.contains(r#""remaining":0"#), "{}", copied.stdout);
    let input = values(dump(&broker, "input", true).await);
    assert_eq!(values(dump(&broker, "output", true).await), input);
    broker.stop().await;
}
