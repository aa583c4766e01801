//! Transactions of other people's clients.

use farlog_testkit::tools::Tool;
use farlog_wire::ErrorCode;

use crate::clients::{KAFKA, run};
use crate::fixture::{Running, start};
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
        .args(["--topic", "__transaction_state", "--from-beginning", "--timeout-ms", "3000"])
        .args(["--formatter", "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter"])
        .args(["--command-property", "exclude.internal.topics=false"]);
    let log = run(log).await;
    // One for the start, and three at least for each transaction.
    assert!(log.matches(r#""transactionStatus":"#).count() > 3 * 30, "{log}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_copier_copies_exactly_once_with_its_offsets() {
    let broker = start().await;
    broker.topic("input", 1, &[]).await;
    run(produce(&broker, "input").args(["count=500", "size=20"])).await;
    let values = |dumped: String| -> Vec<String> {
        let value = |line: &str| line.split('\t').nth(5).expect("a value").to_owned();
        dumped.lines().map(value).collect()
    };
    let input = values(dump(&broker, "input", true).await);
    // With the group's metadata the coordinator checks the member and its generation (KIP-447).
    for (output, mode) in [("by-group", None), ("by-member", Some("--use-group-metadata"))] {
        broker.topic(output, 1, &[]).await;
        let copier = Tool::kafka(KAFKA, "org.apache.kafka.tools.TransactionalMessageCopier")
            .args(["--broker-list", &broker.bootstrap(), "--input-topic", "input"])
            .args(["--input-partition", "0", "--output-topic", output])
            .args(["--consumer-group", output, "--transactional-id", output])
            .args(["--transaction-size", "20", "--enable-random-aborts", "--group-mode"])
            .args(mode);
        let copied = run(copier).await;
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
        .args(["--isolation-level", "read_committed", "--timeout-ms", "3000"]);
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
