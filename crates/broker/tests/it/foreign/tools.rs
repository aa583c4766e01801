//! What the tools can do that come with Kafka.

use std::fs;
use std::time::Duration;

use farlog_testkit::scratch::Scratch;
use farlog_testkit::tools::Tool;
use futures_util::future::BoxFuture;

use super::{Cell, Cells, FEATURES};
use crate::clients::KAFKA;
use crate::fixture::Running;

type Outcome = Result<(), String>;

/// Tries everything that there is a tool for.
pub(super) async fn attempt(broker: &Running) -> Cells {
    let mut cells = Cells::new();
    for (name, _) in FEATURES {
        let outcome: BoxFuture<'_, Outcome> = match *name {
            "codec-none" | "codec-gzip" | "codec-snappy" | "codec-lz4" | "codec-zstd" => {
                Box::pin(codec(broker, name))
            }
            "headers" => Box::pin(headers(broker)),
            "large-record" => Box::pin(large_record(broker)),
            "idempotent" => Box::pin(idempotent(broker)),
            "transactions" => Box::pin(transactions(broker)),
            "transaction-offsets" => Box::pin(transaction_offsets(broker)),
            "group-rebalance" => Box::pin(group_rebalance(broker, "classic")),
            "new-group-rebalance" => Box::pin(group_rebalance(broker, "consumer")),
            "group-resume" => Box::pin(group_resume(broker, "classic")),
            "new-group-resume" => Box::pin(group_resume(broker, "consumer")),
            "offsets-by-time" => Box::pin(offsets_by_time(broker)),
            "delete-records" => Box::pin(delete_records(broker)),
            "admin-topics" => Box::pin(admin_topics(broker)),
            "admin-configs" => Box::pin(admin_configs(broker)),
            "admin-groups" => Box::pin(admin_groups(broker)),
            "admin-cluster" => Box::pin(admin_cluster(broker)),
            _ => {
                cells.insert(name, Cell::Cannot("no tool does it alone".to_owned()));
                continue;
            }
        };
        cells.insert(name, outcome.await.map_or_else(Cell::Failed, |()| Cell::Works));
    }
    cells
}

fn tool(broker: &Running, class: &str) -> Tool {
    Tool::kafka(KAFKA, &format!("org.apache.kafka.tools.{class}"))
        .args(["--bootstrap-server", &broker.bootstrap()])
}

async fn run(tool: Tool) -> Result<String, String> {
    let said = tokio::task::spawn_blocking(move || tool.run()).await.expect("no panic");
    said.map(|said| said.stdout).map_err(|error| error.to_string())
}

fn check(holds: bool, found: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("it said {found}")) }
}

async fn console_producer(broker: &Running, arguments: &[&str], input: &str) -> Outcome {
    let tool = tool(broker, "ConsoleProducer").args(arguments).input(input);
    run(tool).await.map(drop)
}

async fn console_consumer(broker: &Running, arguments: &[&str]) -> Result<String, String> {
    let tool = tool(broker, "consumer.ConsoleConsumer").args(["--from-beginning"]).args(arguments);
    run(tool).await
}

async fn codec(broker: &Running, name: &str) -> Outcome {
    broker.topic(name, 1, &[]).await;
    let input = "again and again and again\n".repeat(100);
    let codec = name.trim_start_matches("codec-");
    let arguments = ["--topic", name, "--compression-codec", codec];
    console_producer(broker, &arguments, &input).await?;
    // One program more for one codec: what the batches are, is looked into for all.
    if codec != "zstd" {
        return Ok(());
    }
    let found = console_consumer(broker, &["--topic", name, "--max-messages", "100"]).await?;
    check(found == input, &found)
}

async fn headers(broker: &Running) -> Outcome {
    broker.topic("headers", 1, &[]).await;
    let properties = ["parse.headers=true", "parse.key=true", "null.marker=NULL"];
    let arguments = properties.iter().flat_map(|property| ["--reader-property", property]);
    let arguments: Vec<&str> = ["--topic", "headers"].into_iter().chain(arguments).collect();
    console_producer(broker, &arguments, "a:1,a:2\tkey\tNULL\n").await?;
    let properties = ["print.headers=true", "print.key=true", "null.literal=nothing"];
    let arguments = properties.iter().flat_map(|property| ["--formatter-property", property]);
    let arguments: Vec<&str> =
        ["--topic", "headers", "--max-messages", "1"].into_iter().chain(arguments).collect();
    let found = console_consumer(broker, &arguments).await?;
    check(found == "a:1,a:2\tkey\tnothing\n", &found)
}

async fn large_record(broker: &Running) -> Outcome {
    broker.topic("large", 1, &[("max.message.bytes", "10000000")]).await;
    let input = format!("{}\n", "large ".repeat(800_000));
    let arguments =
        ["--topic", "large", "--command-property", "max.request.size=9000000", "--sync"];
    console_producer(broker, &arguments, &input).await?;
    let found = console_consumer(broker, &["--topic", "large", "--max-messages", "1"]).await?;
    check(found == input, &format!("{} bytes", found.len()))
}

async fn idempotent(broker: &Running) -> Outcome {
    broker.topic("idempotent", 1, &[]).await;
    let property = "enable.idempotence=true";
    let arguments = ["--topic", "idempotent", "--command-property", property];
    console_producer(broker, &arguments, "one\ntwo\nthree\n").await
}

async fn transactions(broker: &Running) -> Outcome {
    broker.topic("transactions", 1, &[]).await;
    let tool = Tool::kafka(KAFKA, "org.apache.kafka.tools.ProducerPerformance")
        .args(["--bootstrap-server", &broker.bootstrap(), "--topic", "transactions"])
        .args(["--num-records", "500", "--record-size", "10", "--throughput", "1000"])
        .args(["--transactional-id", "performance", "--transaction-duration-ms", "100"]);
    run(tool).await?;
    let arguments = ["--topic", "transactions", "--max-messages", "500"];
    let arguments = [&arguments[..], &["--isolation-level", "read_committed"]].concat();
    let found = console_consumer(broker, &arguments).await?;
    check(found.lines().count() == 500, &found)
}

async fn transaction_offsets(broker: &Running) -> Outcome {
    broker.topic("copy-from", 1, &[]).await;
    broker.topic("copy-to", 1, &[]).await;
    let input: String = (0..100).map(|number| format!("{number}\n")).collect();
    console_producer(broker, &["--topic", "copy-from"], &input).await?;
    let copier = Tool::kafka(KAFKA, "org.apache.kafka.tools.TransactionalMessageCopier")
        .args(["--broker-list", &broker.bootstrap(), "--input-topic", "copy-from"])
        .args(["--input-partition", "0", "--output-topic", "copy-to", "--consumer-group", "copy"])
        .args(["--transactional-id", "copy", "--transaction-size", "10", "--group-mode"])
        .args(["--enable-random-aborts", "--use-group-metadata"]);
    run(copier).await?;
    let arguments = ["--topic", "copy-to", "--max-messages", "100"];
    let arguments = [&arguments[..], &["--isolation-level", "read_committed"]].concat();
    let found = console_consumer(broker, &arguments).await?;
    check(found == input, &found)
}

/// Two members read a topic of four partitions to its end; both had their share.
async fn group_rebalance(broker: &Running, protocol: &str) -> Outcome {
    let topic = format!("rebalance-{protocol}");
    broker.topic(&topic, 4, &[]).await;
    let member = || {
        tool(broker, "VerifiableConsumer").args([
            "--topic",
            &topic,
            "--group-id",
            &topic,
            "--group-protocol",
            protocol,
        ])
    };
    let (first, second) = (member(), member());
    let both = tokio::task::spawn_blocking(move || {
        let members = [first.start(), second.start()].map(|started| started.expect("it starts"));
        for _ in 0..600 {
            if members.iter().all(|member| share(&member.stdout()) == 2) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(members.map(|member| member.stdout()).join("\n"))
    });
    both.await.expect("no panic").map_err(|said| format!("two did not share: {said}"))
}

/// How many partitions a member has that said this.
fn share(said: &str) -> i64 {
    let counted = said.lines().map(|line| {
        let count = i64::try_from(line.matches("\"partition\"").count()).expect("a small number");
        match line {
            _ if line.contains("\"partitions_assigned\"") => count,
            _ if line.contains("\"partitions_revoked\"") => -count,
            _ => 0,
        }
    });
    counted.sum()
}

async fn group_resume(broker: &Running, protocol: &str) -> Outcome {
    let topic = format!("resume-{protocol}");
    broker.topic(&topic, 1, &[]).await;
    let arguments = ["--topic", &topic, "--max-messages", "20"];
    let found = run(tool(broker, "VerifiableProducer").args(arguments)).await?;
    check(found.matches("producer_send_success").count() == 20, &found)?;
    let mut found = String::new();
    for _ in 0..2 {
        let tool = tool(broker, "VerifiableConsumer")
            .args(["--topic", &topic, "--group-id", &topic, "--group-protocol", protocol])
            .args(["--reset-policy", "earliest", "--max-messages", "10", "--verbose"]);
        found += &run(tool).await?;
    }
    let numbers: Vec<&str> = found
        .lines()
        .filter(|line| line.contains("\"record_data\""))
        .filter_map(|line| line.split_once("\"value\":\"")?.1.split('"').next())
        .collect();
    check(numbers.iter().copied().eq((0..20).map(|number| number.to_string())), &found)
}

async fn offsets_by_time(broker: &Running) -> Outcome {
    broker.topic("times", 1, &[]).await;
    console_producer(broker, &["--topic", "times"], "one\ntwo\nthree\n").await?;
    for (time, offset) in [("earliest", 0), ("latest", 3), ("1000", 0)] {
        let tool = tool(broker, "GetOffsetShell").args(["--topic", "times", "--time", time]);
        let found = run(tool).await?;
        check(found == format!("times:0:{offset}\n"), &found)?;
    }
    Ok(())
}

async fn delete_records(broker: &Running) -> Outcome {
    broker.topic("delete-records", 1, &[]).await;
    console_producer(broker, &["--topic", "delete-records"], "one\ntwo\nthree\n").await?;
    let scratch = Scratch::new("delete-records").map_err(|error| error.to_string())?;
    let file = scratch.path().join("offsets.json");
    let json =
        r#"{"partitions":[{"topic":"delete-records","partition":0,"offset":2}],"version":1}"#;
    fs::write(&file, json).map_err(|error| error.to_string())?;
    let tool = tool(broker, "DeleteRecordsCommand").arg("--offset-json-file").arg(file.display());
    let found = run(tool).await?;
    check(found.contains("low_watermark: 2"), &found)?;
    let arguments = ["--topic", "delete-records", "--max-messages", "1"];
    let found = console_consumer(broker, &arguments).await?;
    check(found == "three\n", &found)
}

async fn admin_topics(broker: &Running) -> Outcome {
    let topics = |arguments: &[&str]| run(tool(broker, "TopicCommand").args(arguments));
    let config = "retention.ms=86400000";
    topics(&["--create", "--topic", "made", "--partitions", "2", "--config", config]).await?;
    topics(&["--alter", "--topic", "made", "--partitions", "5"]).await?;
    let found = topics(&["--describe", "--topic", "made"]).await?;
    check(found.contains("PartitionCount: 5") && found.contains(config), &found)?;
    topics(&["--delete", "--topic", "made"]).await?;
    let found = topics(&["--list"]).await?;
    check(!found.lines().any(|line| line == "made"), &found)
}

async fn admin_configs(broker: &Running) -> Outcome {
    broker.topic("configs", 1, &[]).await;
    let configs = |arguments: &[&str]| {
        let tool = Tool::kafka(KAFKA, "kafka.admin.ConfigCommand")
            .args(["--bootstrap-server", &broker.bootstrap()])
            .args(["--entity-type", "topics", "--entity-name", "configs"]);
        run(tool.args(arguments))
    };
    configs(&["--alter", "--add-config", "retention.ms=3600000"]).await?;
    let found = configs(&["--describe"]).await?;
    check(found.contains("retention.ms=3600000"), &found)?;
    configs(&["--alter", "--delete-config", "retention.ms"]).await?;
    let found = configs(&["--describe"]).await?;
    check(!found.contains("retention.ms"), &found)
}

async fn admin_groups(broker: &Running) -> Outcome {
    broker.topic("groups", 1, &[]).await;
    console_producer(broker, &["--topic", "groups"], "one\ntwo\nthree\n").await?;
    let arguments = ["--topic", "groups", "--group", "groups", "--max-messages", "3"];
    console_consumer(broker, &arguments).await?;
    let groups = |arguments: &[&str]| {
        run(tool(broker, "consumer.group.ConsumerGroupCommand").args(arguments))
    };
    let group = ["--group", "groups"];
    let reset = ["--reset-offsets", "--to-offset", "1", "--topic", "groups", "--execute"];
    groups(&[&group[..], &reset].concat()).await?;
    let found = groups(&[&group[..], &["--describe"]].concat()).await?;
    let row = found.lines().find(|line| line.starts_with("groups")).unwrap_or_default();
    check(row.split_whitespace().nth(3) == Some("1"), &found)?;
    groups(&[&group[..], &["--delete"]].concat()).await?;
    let found = groups(&["--list"]).await?;
    check(!found.lines().any(|line| line == "groups"), &found)
}

async fn admin_cluster(broker: &Running) -> Outcome {
    let tool = Tool::kafka(KAFKA, "org.apache.kafka.tools.ClusterTool").args([
        "cluster-id",
        "--bootstrap-server",
        &broker.bootstrap(),
    ]);
    let found = run(tool).await?;
    check(found.contains(broker.handle.cluster_id()), &found)
}
