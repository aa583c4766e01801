//! Programs that try a client by themselves and print a line for each feature.

use std::fs;
use std::time::Duration;

use farlog_client::{FetchOptions, TopicPartition};
use farlog_testkit::clients::{Language, NoClient};
use farlog_testkit::jars::KafkaVersion;
use farlog_testkit::tools::Tool;
use farlog_wire::records::{Compression, batches};

use super::{Cell, Cells, FEATURES};
use crate::fixture::Running;

/// Longer than all features together may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// A client of Java, of this release of Kafka.
pub(super) async fn java(broker: &Running, version: KafkaVersion) -> Result<Cells, NoClient> {
    Ok(run(broker, Tool::java_client(version, "Features")).await)
}

/// A client of another language.
pub(super) async fn native(
    broker: &Running,
    language: Language,
    source: &str,
) -> Result<Cells, NoClient> {
    Ok(run(broker, language.tool(source)?).await)
}

async fn run(broker: &Running, tool: Tool) -> Cells {
    let tool = tool.arg(broker.bootstrap()).patience(PATIENCE);
    let said = tokio::task::spawn_blocking(move || tool.run()).await.expect("no panic");
    match said {
        Ok(said) => said.stdout.lines().filter_map(cell).collect(),
        Err(error) => panic!("{error}"),
    }
}

/// `FEATURE ok`, `FEATURE cannot: REASON` or `FEATURE failed: REASON`; libraries may print lines of
/// their own.
fn cell(line: &str) -> Option<(&'static str, Cell)> {
    let (said, outcome) = line.split_once(' ')?;
    let (name, _) = FEATURES.iter().find(|(name, _)| *name == said)?;
    let cell = match outcome.split_once(": ") {
        Some(("cannot", why)) => Cell::Cannot(why.to_owned()),
        Some(("failed", why)) => Cell::Failed(why.to_owned()),
        _ if outcome == "ok" => Cell::Works,
        _ => return None,
    };
    Some((name, cell))
}

/// The name of a library, with the version that its language's file pins.
pub(super) fn pinned(language: Language, library: &str) -> String {
    let (file, before) = match language {
        Language::Go => ("go.mod", "github.com/twmb/franz-go v".to_owned()),
        Language::Node => ("package.json", format!("\"{library}\": \"")),
        Language::Python => ("requirements.txt", format!("{library}==")),
    };
    let text = fs::read_to_string(language.sources().join(file)).expect("the file is there");
    let (_, rest) = text.split_once(&before).expect("the library is pinned");
    let version = rest.split(|end: char| !(end.is_ascii_digit() || end == '.')).next();
    format!("{library} {}", version.expect("a version"))
}

/// A client that says it compresses, or that its producer is idempotent, has sent such batches.
pub(super) async fn look_into_batches(broker: &Running, cells: &mut Cells) {
    let expected = [
        ("codec-none", Compression::None),
        ("codec-gzip", Compression::Gzip),
        ("codec-snappy", Compression::Snappy),
        ("codec-lz4", Compression::Lz4),
        ("codec-zstd", Compression::Zstd),
    ];
    for (name, codec) in expected {
        check(broker, cells, name, |found, _| match found {
            found if found == codec => Ok(()),
            found => Err(format!("the batch is of {found:?}")),
        })
        .await;
    }
    check(broker, cells, "idempotent", |_, producer_id| match producer_id {
        -1 => Err("the batch has no producer id".to_owned()),
        _ => Ok(()),
    })
    .await;
}

async fn check(
    broker: &Running,
    cells: &mut Cells,
    name: &'static str,
    holds: impl Fn(Compression, i64) -> Result<(), String>,
) {
    if cells.get(name) != Some(&Cell::Works) {
        return;
    }
    let cluster = broker.client().await;
    let place = TopicPartition::new(name, 0);
    let fetched = cluster.fetch(&place, 0, &FetchOptions::default()).await.expect("an answer");
    let mut count = 0;
    for batch in batches(fetched.records) {
        let header = batch.expect("a batch").header;
        count += 1;
        let codec = header.attributes.compression();
        if let Err(why) = holds(codec, header.producer_id) {
            cells.insert(name, Cell::Failed(why));
            return;
        }
    }
    assert!(count > 0, "{name} is empty");
}
