//! The embedded broker beside Kafka, under Kafka's own load tools.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use farlog_testkit::kafka::{JvmMode, KafkaCluster, KafkaOptions};
use farlog_testkit::ports::PortLease;
use farlog_testkit::process::{Program, Supervised};
use farlog_testkit::scratch::Scratch;
use farlog_testkit::tools::Tool;

use crate::KAFKA;
use crate::error::BenchError;
use crate::progress::Progress;
use crate::statistics::Spread;
use crate::table::{cell, table};
use crate::tools::{cpu, peak_memory_bytes};

/// Heap of Kafka's broker: that of its own start script.
const HEAP_MB: u32 = 1024;

/// Heap of the load tools.
const TOOL_HEAP_MB: u32 = 512;

const PARTITIONS: u32 = 4;
const RECORD_BYTES: u64 = 1_000;

/// How long a server may take to answer, and a tool to end.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much load, and how often.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Records of 1 KB in each run
    #[arg(long, default_value_t = 1_000_000)]
    pub records: u64,
    /// Runs that count; one more goes before them
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kafka,
    Synced,
    Unsynced,
    Memory,
}

/// A server that runs.
enum Server {
    Kafka(KafkaCluster),
    Embedded(Embedded),
}

/// An embedded broker; its directory and its port are given back when it ends.
struct Embedded {
    process: Supervised,
    port: PortLease,
    _scratch: Scratch,
}

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
struct Run {
    produce_mb_per_second: f64,
    consume_mb_per_second: f64,
    cpu_seconds_per_gb: f64,
}

/// Measures this Farlog and Kafka one after the other, and gives back the table.
///
/// # Errors
/// When a server or a load tool fails.
pub fn measure(
    arguments: &Arguments,
    farlog: &Path,
    progress: &mut dyn Progress,
) -> Result<String, BenchError> {
    let mut table = table([
        "server",
        "start-up ms",
        "produce MB/s",
        "consume MB/s",
        "broker CPU-s/GB, both",
        "peak RSS MB",
    ]);
    for kind in [Kind::Kafka, Kind::Unsynced, Kind::Synced, Kind::Memory] {
        let started = Instant::now();
        let server = Server::start(kind, farlog)?;
        let start_up = started.elapsed();
        let mut runs = Vec::new();
        for number in 0..=arguments.runs {
            let run = run(&server, arguments.records, number)?;
            progress.line(&format!(
                "{} run {number}: produce {:.0} MB/s, consume {:.0} MB/s, {:.2} CPU-s/GB",
                kind.name(),
                run.produce_mb_per_second,
                run.consume_mb_per_second,
                run.cpu_seconds_per_gb
            ));
            runs.push(run);
        }
        // The first warmed the server up.
        runs.remove(0);
        let of =
            |figure: fn(&Run) -> f64, digits| cell(Spread::of(runs.iter().map(figure)), digits);
        table.add_row([
            kind.name().to_owned(),
            start_up.as_millis().to_string(),
            of(|run| run.produce_mb_per_second, 0),
            of(|run| run.consume_mb_per_second, 0),
            of(|run| run.cpu_seconds_per_gb, 2),
            format!("{:.0}", peak_memory_bytes(server.pid()?)? as f64 / 1e6),
        ]);
    }
    Ok(format!(
        "{} records of {RECORD_BYTES} bytes, {PARTITIONS} partitions, acks=all, batches of up to \
         128 KB; Kafka {KAFKA} with -Xmx{HEAP_MB}m and its default flush (none); medians \
         (min–max) of {} runs\n\n{table}",
        arguments.records, arguments.runs
    ))
}

fn run(server: &Server, records: u64, number: usize) -> Result<Run, BenchError> {
    let topic = format!("load-{number}");
    let bootstrap = server.bootstrap();
    tool("org.apache.kafka.tools.TopicCommand")
        .args(["--bootstrap-server", &bootstrap, "--create", "--topic", &topic])
        .args(["--partitions".to_owned(), PARTITIONS.to_string()])
        .run()
        .map_err(BenchError::while_doing("cannot create a topic"))?;
    let cpu_before = cpu(server.pid()?)?;
    let produced = tool("org.apache.kafka.tools.ProducerPerformance")
        .args(["--topic", &topic, "--throughput", "-1"])
        .args(["--num-records".to_owned(), records.to_string()])
        .args(["--record-size".to_owned(), RECORD_BYTES.to_string()])
        .args(["--producer-props", &format!("bootstrap.servers={bootstrap}"), "acks=all"])
        .args(["batch.size=131072", "linger.ms=5", "buffer.memory=67108864"])
        .run()
        .map_err(BenchError::while_doing("the producer failed"))?;
    let consumed = tool("org.apache.kafka.tools.ConsumerPerformance")
        .args(["--bootstrap-server", &bootstrap, "--topic", &topic, "--hide-header"])
        .args(["--group", &topic, "--timeout", "60000"])
        .args(["--num-records".to_owned(), records.to_string()])
        .run()
        .map_err(BenchError::while_doing("the consumer failed"))?;
    let cpu = cpu(server.pid()?)?.saturating_sub(cpu_before);
    let bytes = (records * RECORD_BYTES) as f64;
    Ok(Run {
        produce_mb_per_second: produce_rate(&produced.stdout)?,
        consume_mb_per_second: consume_rate(&consumed.stdout)?,
        cpu_seconds_per_gb: cpu.as_secs_f64() / (bytes / 1e9),
    })
}

fn tool(class: &str) -> Tool {
    Tool::kafka(KAFKA, class).jvm(JvmMode::Bench, TOOL_HEAP_MB).patience(PATIENCE)
}

/// The last line says `… records/sec (117.74 MB/sec), …`; their MB is 2^20 bytes.
fn produce_rate(output: &str) -> Result<f64, BenchError> {
    let last = output.lines().rfind(|line| line.contains("MB/sec"));
    let figure = last.and_then(|line| line.split('(').nth(1)?.split(' ').next()?.parse().ok());
    let mebibytes: f64 =
        figure.ok_or_else(|| BenchError::new(format!("no rate in the output:\n{output}")))?;
    Ok(mebibytes * 1.048_576)
}

/// The last line has start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s,
/// …, between commas; what the group took to settle is not the server's reading.
fn consume_rate(output: &str) -> Result<f64, BenchError> {
    let last = output.lines().rfind(|line| line.matches(',').count() >= 8);
    let figure = last.and_then(|line| line.split(',').nth(8)?.trim().parse().ok());
    let mebibytes: f64 =
        figure.ok_or_else(|| BenchError::new(format!("no rate in the output:\n{output}")))?;
    Ok(mebibytes * 1.048_576)
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Kafka => "Apache Kafka",
            Kind::Synced => "farlog broker --data (fsync)",
            Kind::Unsynced => "farlog broker --data --no-fsync",
            Kind::Memory => "farlog broker (memory)",
        }
    }
}

impl Server {
    fn start(kind: Kind, farlog: &Path) -> Result<Server, BenchError> {
        if kind == Kind::Kafka {
            let options = KafkaOptions::new(KAFKA).jvm(JvmMode::Bench).heap_mb(HEAP_MB);
            let kafka = KafkaCluster::start(options);
            return kafka.map(Server::Kafka).map_err(BenchError::while_doing("cannot start Kafka"));
        }
        let scratch =
            Scratch::new("bench").map_err(BenchError::while_doing("making a directory"))?;
        let port = PortLease::take().map_err(BenchError::while_doing("taking a port"))?;
        let mut program =
            Program::new("farlog broker", farlog, scratch.path(), &scratch.join("output")).args([
                "broker",
                "--listen",
                &port.address(),
            ]);
        if kind != Kind::Memory {
            program = program.arg("--data").arg(scratch.join("data"));
        }
        if kind == Kind::Unsynced {
            program = program.arg("--no-fsync");
        }
        let mut process =
            program.spawn().map_err(BenchError::while_doing("cannot start farlog"))?;
        let address: SocketAddr = port
            .address()
            .parse()
            .map_err(BenchError::while_doing("the address of a port of this machine"))?;
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(address).is_err() {
            let ended = process.ended().map_err(BenchError::while_doing("waiting for farlog"))?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(BenchError::new(format!("farlog is not up:\n{}", process.tail())));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Server::Embedded(Embedded { process, port, _scratch: scratch }))
    }

    fn bootstrap(&self) -> String {
        match self {
            Server::Kafka(kafka) => kafka.bootstrap(),
            Server::Embedded(embedded) => embedded.port.address(),
        }
    }

    fn pid(&self) -> Result<u32, BenchError> {
        match self {
            Server::Kafka(kafka) => {
                kafka.broker(1).pid().ok_or_else(|| BenchError::new("the broker has ended"))
            }
            Server::Embedded(embedded) => Ok(embedded.process.pid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_from_what_kafkas_tools_print() {
        let produced = "500000 records sent, 90000.0 records/sec (85.83 MB/sec), 3.1 ms avg\n\
                        1000000 records sent, 100000.0 records/sec (95.37 MB/sec), 2.2 ms avg\n";
        assert!((produce_rate(produced).unwrap() - 100.0).abs() < 0.1);
        let consumed = "2026-11-21 14:00:00:000, 2026-11-21 14:00:02:000, 953.7, 476.8, 1000000, \
                        500000.0, 500, 1500, 635.8, 666666.7\n";
        assert!((consume_rate(consumed).unwrap() - 666.7).abs() < 0.1);
        assert!(produce_rate("nothing").is_err());
    }
}
