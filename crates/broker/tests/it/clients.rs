//! Tools of other people, run to their end.

use farlog_testkit::jars::KafkaVersion;
use farlog_testkit::tools::Tool;

pub(crate) const KAFKA: KafkaVersion = KafkaVersion::V4_3;

/// Runs a tool to its end without holding up the broker's runtime.
pub(crate) async fn run(tool: Tool) -> String {
    let output = tokio::task::spawn_blocking(move || tool.run()).await.expect("no panic");
    output.expect("the tool succeeds").stdout
}
