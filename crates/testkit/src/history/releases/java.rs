//! Records of Java producers of the source's own release, and their mirrors.

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, POLL};
use crate::history::orchestrator::fixture;
use crate::history::reader::read_partition;
use crate::history::record::Fields;
use crate::history::session::{HistoryError, Session};
use crate::kafka::KafkaCluster;
use crate::tools::{RunningTool, Tool};

/// Partitions of each topic.
const PARTITIONS: i32 = 2;

/// Records of each topic, aborted ones included.
const RECORDS: usize = 600;

/// What producers of every release can be told: a name, and the arguments of `Produce`.
const PRODUCERS: [(&str, &[&str]); 3] = [
    (
        "java-plain",
        &["client.enable.idempotence=false", "client.acks=1", "client.compression.type=gzip"],
    ),
    (
        "java-idempotent",
        &["client.enable.idempotence=true", "client.compression.type=lz4", "tombstones=7"],
    ),
    ("java-transactional", &["transaction=20", "abort=4", "client.compression.type=zstd"]),
];

/// What was written.
pub(super) struct Java {
    pub(super) topics: Vec<String>,
    /// Records that readers see.
    pub(super) records: usize,
}

/// Creates the topics and fills them, one producer beside the other.
pub(super) async fn produce(
    source: &Session,
    cluster: &KafkaCluster,
    prefix: &str,
) -> Result<Java, HistoryError> {
    let bootstrap = cluster.bootstrap();
    let mut topics = Vec::new();
    let mut running: Vec<RunningTool> = Vec::new();
    for (name, arguments) in PRODUCERS {
        let topic = format!("{prefix}{name}");
        source.create_topic(&topic, PARTITIONS, &[]).await?;
        let producer = Tool::java_client(cluster.version(), "Produce")
            .args([format!("bootstrap={bootstrap}"), format!("topic={topic}")])
            .args([format!("count={RECORDS}"), "keys=11".to_owned(), "headers=2".to_owned()])
            .arg("size=300")
            .args(arguments);
        running.push(block_in_place(|| producer.start()).map_err(fixture("a Java producer"))?);
        topics.push(topic);
    }
    for producer in running {
        block_in_place(|| producer.wait(PATIENCE)).map_err(fixture("a Java producer"))?;
    }
    let mut records = 0;
    for topic in &topics {
        for partition in 0..PARTITIONS {
            records += contents(source, topic, partition).await?.len();
        }
    }
    Ok(Java { topics, records })
}

/// Waits until every mirror has as many records as its source, and compares them one by one.
pub(super) async fn compare(
    source: &Session,
    target: &Session,
    java: &Java,
) -> Result<Vec<String>, HistoryError> {
    let mut findings = Vec::new();
    for topic in &java.topics {
        for partition in 0..PARTITIONS {
            let expected = contents(source, topic, partition).await?;
            let until = Instant::now() + PATIENCE;
            let mirrored = loop {
                let mirrored = match target.partitions(topic).await? {
                    count if count > partition => contents(target, topic, partition).await?,
                    _ => Vec::new(),
                };
                if mirrored.len() >= expected.len() || Instant::now() >= until {
                    break mirrored;
                }
                sleep(POLL).await;
            };
            if mirrored != expected {
                findings.push(format!(
                    "{topic}-{partition}: {} records, and {} in the mirror; they are not the same",
                    expected.len(),
                    mirrored.len()
                ));
            }
        }
    }
    Ok(findings)
}

async fn contents(
    session: &Session,
    topic: &str,
    partition: i32,
) -> Result<Vec<Fields>, HistoryError> {
    let log = read_partition(session, topic, partition).await?;
    Ok(log.records.iter().map(|record| record.fields()).collect())
}
