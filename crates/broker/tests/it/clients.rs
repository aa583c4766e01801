//! Real clients of other people, each doing what it is made for.

use farlog_testkit::jars::KafkaVersion;
use farlog_testkit::tools::Tool;

use crate::fixture::start;

pub(crate) const KAFKA: KafkaVersion = KafkaVersion::V4_3;

/// Runs a tool to its end without holding up the broker's runtime.
pub(crate) async fn run(tool: Tool) -> String {
    let output = tokio::task::spawn_blocking(move || tool.run()).await.expect("no panic");
    output.expect("the tool succeeds").stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_console_tools_produce_and_consume() {
    let broker = start().await;
    broker.topic("greetings", 3, &[]).await;
    let servers = broker.bootstrap();
    let listed = run(Tool::kafka(KAFKA, "org.apache.kafka.tools.TopicCommand").args([
        "--bootstrap-server",
        &servers,
        "--describe",
        "--topic",
        "greetings",
    ]))
    .await;
    assert!(listed.contains("PartitionCount: 3"), "{listed}");
    run(Tool::kafka(KAFKA, "org.apache.kafka.tools.ConsoleProducer")
        .args(["--bootstrap-server", &servers, "--topic", "greetings"])
        .input("hello\nworld\n"))
    .await;
    let offsets = run(Tool::kafka(KAFKA, "org.apache.kafka.tools.GetOffsetShell").args([
        "--bootstrap-server",
        &servers,
        "--topic",
        "greetings",
    ]))
    .await;
    let total: i64 =
        offsets.lines().filter_map(|line| line.rsplit(':').next()?.parse::<i64>().ok()).sum();
    assert_eq!(total, 2, "{offsets}");
    broker.stop().await;
}
