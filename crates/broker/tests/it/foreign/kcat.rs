//! What kcat can do: librdkafka as Debian has it, without a line of code.

use std::time::{SystemTime, UNIX_EPOCH};

use farlog_testkit::tools::Tool;

use super::{Cell, Cells, FEATURES};
use crate::fixture::Running;

/// The records that most of its attempts send.
const INPUT: &str = "one:1\ntwo:2\nthree:3\n";

/// Why it cannot do the rest.
const NO_COMMAND: &str = "it has no command for it";

/// Tries everything that it has a command for.
pub(super) async fn attempt(broker: &Running) -> Cells {
    let mut cells: Cells =
        FEATURES.iter().map(|(name, _)| (*name, Cell::Cannot(NO_COMMAND.to_owned()))).collect();
    for (name, _) in FEATURES {
        let outcome = match *name {
            "codec-none" | "codec-gzip" | "codec-snappy" | "codec-lz4" | "codec-zstd" => {
                codec(broker, name).await
            }
            "headers" => headers(broker).await,
            "idempotent" => idempotent(broker).await,
            "transactions" => transactions(broker).await,
            "group-resume" => group_resume(broker).await,
            "offsets-by-time" => offsets_by_time(broker).await,
            "admin-cluster" => cluster(broker).await,
            "new-group-rebalance" | "new-group-resume" => {
                cells.insert(name, Cell::Cannot("it has the classic protocol only".to_owned()));
                continue;
            }
            _ => continue,
        };
        cells.insert(name, outcome.map_or_else(Cell::Failed, |()| Cell::Works));
    }
    cells
}

async fn kcat(broker: &Running, arguments: &[&str], input: &str) -> Result<String, String> {
    let tool = Tool::kcat().args(["-b", &broker.bootstrap()]).args(arguments).input(input);
    let said = tokio::task::spawn_blocking(move || tool.run()).await.expect("no panic");
    said.map(|said| said.stdout).map_err(|error| error.to_string())
}

fn same(found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} came, not {expected:?}")) }
}

const PRODUCE: &[&str] = &["-P", "-K", ":", "-t"];
const CONSUME: &[&str] = &["-C", "-e", "-q", "-K", ":", "-o", "beginning", "-t"];

async fn codec(broker: &Running, name: &str) -> Result<(), String> {
    broker.topic(name, 1, &[]).await;
    let codec = name.trim_start_matches("codec-");
    // What does not get smaller is sent as it is.
    let input: String = (0..200).map(|i| format!("{i}:{}\n", "again and ".repeat(20))).collect();
    kcat(broker, &[PRODUCE, &[name, "-z", codec]].concat(), &input).await?;
    same(&kcat(broker, &[CONSUME, &[name]].concat(), "").await?, &input)
}

async fn headers(broker: &Running) -> Result<(), String> {
    broker.topic("headers", 1, &[]).await;
    let arguments = ["headers", "-H", "a=1", "-H", "a=2", "-Z"];
    kcat(broker, &[PRODUCE, &arguments].concat(), "key:\n").await?;
    let format = ["-C", "-e", "-q", "-t", "headers", "-f", "%k %S %h"];
    same(&kcat(broker, &format, "").await?, "key -1 a=1,a=2")
}

async fn idempotent(broker: &Running) -> Result<(), String> {
    broker.topic("idempotent", 1, &[]).await;
    let arguments = ["idempotent", "-X", "enable.idempotence=true"];
    kcat(broker, &[PRODUCE, &arguments].concat(), INPUT).await?;
    same(&kcat(broker, &[CONSUME, &["idempotent"]].concat(), "").await?, INPUT)
}

async fn transactions(broker: &Running) -> Result<(), String> {
    broker.topic("transactions", 1, &[]).await;
    let arguments = ["transactions", "-X", "transactional.id=kcat"];
    kcat(broker, &[PRODUCE, &arguments].concat(), INPUT).await?;
    let arguments = ["transactions", "-X", "isolation.level=read_committed"];
    same(&kcat(broker, &[CONSUME, &arguments].concat(), "").await?, INPUT)
}

async fn group_resume(broker: &Running) -> Result<(), String> {
    broker.topic("resume", 1, &[]).await;
    let consume = ["-q", "-X", "auto.offset.reset=earliest", "-e", "-K", ":", "-G", "resume"];
    for input in [INPUT, "four:4\n"] {
        kcat(broker, &[PRODUCE, &["resume"]].concat(), input).await?;
        same(&kcat(broker, &[&consume[..], &["resume"]].concat(), "").await?, input)?;
    }
    Ok(())
}

async fn offsets_by_time(broker: &Running) -> Result<(), String> {
    broker.topic("times", 1, &[]).await;
    kcat(broker, &[PRODUCE, &["times"]].concat(), INPUT).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    let hour_ago = now.as_millis() - 3_600_000;
    for (time, offset) in [(hour_ago.to_string(), 0), ("-2".to_owned(), 0), ("-1".to_owned(), 3)] {
        let asked = format!("times:0:{time}");
        let found = kcat(broker, &["-Q", "-t", &asked], "").await?;
        same(&found, &format!("times [0] offset {offset}\n"))?;
    }
    Ok(())
}

async fn cluster(broker: &Running) -> Result<(), String> {
    let found = kcat(broker, &["-L"], "").await?;
    if found.contains("1 brokers:") { Ok(()) } else { Err(format!("it lists {found}")) }
}
