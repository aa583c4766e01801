//! Batches of Apache Kafka's own record classes: a file of them, and Java itself where it is there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use farlog_wire::records::{
    BatchBuilder, BatchWriter, BuilderLimits, Compression, ControlRecord, ControlType, Header,
    Obstacle, RawBatch, TimestampType, control_record, pass_through, rewrite_compressed,
};

use crate::model::{Plain, STAMP, check_outgoing, read, received, sample_logs, write};

/// Written by `Batches.java golden` with the jars of Kafka 4.3.1.
const GOLDEN: &str = include_str!("kafka-4.3.1.txt");

/// Far more than any batch here holds.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

const UNLIMITED: BuilderLimits =
    BuilderLimits { size_bytes_max: usize::MAX, record_count_max: i64::MAX };

/// A batch of Kafka's, and the records that Kafka reads in it.
struct Kafkas {
    name: String,
    bytes: Bytes,
    records: Vec<Plain>,
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn field(text: &str) -> Option<Vec<u8>> {
    text.strip_prefix('x').map(unhex)
}

fn parse_record(text: &str) -> Plain {
    let words: Vec<&str> = text.split(' ').collect();
    let headers = words[4].trim_matches(['[', ']']).split(',').filter(|header| !header.is_empty());
    let headers = headers.map(|header| {
        let (key, value) = header.split_once('=').unwrap();
        (unhex(key), (value != "null").then(|| unhex(value)))
    });
    Plain {
        offset: words[0].parse().unwrap(),
        timestamp: words[1].parse().unwrap(),
        key: field(words[2]),
        value: field(words[3]),
        headers: headers.collect(),
    }
}

fn parse(text: &str) -> Vec<Kafkas> {
    let mut all: Vec<Kafkas> = Vec::new();
    for line in text.lines() {
        match line.split_once(' ').unwrap() {
            ("batch", rest) => {
                let (name, bytes) = rest.split_once(' ').unwrap();
                let bytes = Bytes::from(field(bytes).unwrap());
                all.push(Kafkas { name: name.to_owned(), bytes, records: Vec::new() });
            }
            ("record", rest) => all.last_mut().unwrap().records.push(parse_record(rest)),
            _ => panic!("{line}"),
        }
    }
    all
}

impl Kafkas {
    fn raw(&self) -> RawBatch {
        let raw = RawBatch::new(self.bytes.clone()).unwrap();
        raw.verify_crc().unwrap();
        raw
    }

    fn compression(&self) -> Compression {
        let name = self.name.split(':').next().unwrap();
        Compression::ALL.into_iter().find(|codec| codec.name() == name).unwrap()
    }
}

/// The batches of the file that have this kind, one of each codec.
fn golden(kind: &str) -> Vec<Kafkas> {
    let all = parse(GOLDEN).into_iter();
    let found: Vec<_> = all.filter(|batch| batch.name.ends_with(&format!(":{kind}"))).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

#[test]
fn records_of_kafka_read_as_kafka_reads_them() {
    for kind in ["create-time", "log-append-time", "holes", "delete-horizon"] {
        for batch in golden(kind) {
            let raw = batch.raw();
            assert_eq!(raw.header.attributes.compression(), batch.compression());
            assert_eq!(raw.header.producer_id, 4711);
            assert_eq!(raw.header.partition_leader_epoch, 12);
            let plain = raw.decompressed(DECOMPRESSED_BYTES_MAX).unwrap();
            plain.verify_crc().unwrap();
            assert_eq!(read(&plain), batch.records, "{}", batch.name);
        }
    }
    for batch in golden("emptied") {
        assert_eq!(batch.raw().header.next_offset(), 1_009);
        assert_eq!(read(&batch.raw()), []);
    }
}

#[test]
fn what_a_broker_would_refuse_is_not_passed_through() {
    for (kind, obstacle) in [
        ("create-time", None),
        ("delete-horizon", None),
        ("holes", Some(Obstacle::Holes)),
        ("log-append-time", Some(Obstacle::LogAppendTime)),
        ("emptied", Some(Obstacle::NoRecords)),
        ("commit", Some(Obstacle::Control)),
        ("abort", Some(Obstacle::Control)),
    ] {
        for batch in golden(kind) {
            let raw = batch.raw();
            assert_eq!(raw.pass_through_obstacle(), obstacle, "{}", batch.name);
            assert_eq!(pass_through(&raw, STAMP).is_ok(), obstacle.is_none(), "{}", batch.name);
        }
    }
}

#[test]
fn tombstones_pass_without_the_horizon_that_would_delete_them() {
    for batch in golden("delete-horizon") {
        let raw = batch.raw();
        assert!(raw.header.attributes.has_delete_horizon());
        let arrived = received(&pass_through(&raw, STAMP).unwrap());
        assert!(!arrived.header.attributes.has_delete_horizon());
        let plain = arrived.decompressed(DECOMPRESSED_BYTES_MAX).unwrap();
        let timestamps = |records: &[Plain]| -> Vec<i64> {
            records.iter().map(|record| record.timestamp).collect()
        };
        assert_eq!(timestamps(&read(&plain)), timestamps(&batch.records), "{}", batch.name);
    }
}

#[test]
fn rewriting_makes_batches_of_kafka_dense_and_keeps_what_clients_see() {
    for kind in ["create-time", "log-append-time", "holes", "delete-horizon"] {
        for batch in golden(kind) {
            let raw = batch.raw();
            let from = raw.header.base_offset + 4;
            let expected: Vec<Plain> =
                batch.records.iter().filter(|record| record.offset >= from).cloned().collect();
            let rewritten =
                rewrite_compressed(&raw, from, STAMP, DECOMPRESSED_BYTES_MAX).unwrap().unwrap();
            let arrived = received(&rewritten.batch);
            assert_eq!(arrived.header.attributes.compression(), batch.compression());
            assert_eq!(arrived.header.attributes.timestamp_type(), TimestampType::CreateTime);
            let plain = arrived.decompressed(DECOMPRESSED_BYTES_MAX).unwrap();
            check_outgoing(&rewritten.batch, &plain);
            let offsets =
                rewritten.runs.iter().flat_map(|run| run.source_offset..run.next_offset());
            let found: Vec<Plain> = read(&plain)
                .into_iter()
                .zip(offsets)
                .map(|(record, offset)| Plain { offset, ..record })
                .collect();
            assert_eq!(found, expected, "{}", batch.name);
            assert_eq!(rewritten.first_timestamp_ms, expected[0].timestamp);
            // And merged with what came before it.
            let mut builder = BatchBuilder::new();
            let decompressed = raw.decompressed(DECOMPRESSED_BYTES_MAX).unwrap();
            builder.append_batch(&decompressed, 0, UNLIMITED).unwrap();
            builder.append_batch(&plain, 0, UNLIMITED).unwrap();
            let merged = builder.finish(STAMP);
            check_outgoing(&merged, &received(&merged));
        }
    }
    for batch in golden("emptied") {
        let rewritten = rewrite_compressed(&batch.raw(), 0, STAMP, DECOMPRESSED_BYTES_MAX);
        assert_eq!(rewritten, Ok(None));
    }
}

#[test]
fn transaction_markers_say_what_they_end() {
    for (kind, control_type) in [("commit", ControlType::Commit), ("abort", ControlType::Abort)] {
        let marker = &golden(kind)[0];
        let record = control_record(&marker.raw()).unwrap().unwrap();
        let timestamp = 1_760_000_000_000;
        let coordinator_epoch = Some(17);
        let expected = ControlRecord { offset: 3_000, timestamp, control_type, coordinator_epoch };
        assert_eq!(record, expected);
    }
    let data = &golden("create-time")[0];
    control_record(&data.raw()).unwrap_err();
}

/// The jars of the release that the file was made with.
fn jars() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let jars = root.join("target/kafka/4.3.1/libs");
    jars.join("kafka-clients-4.3.1.jar").is_file().then_some(jars)
}

/// The same records as Kafka would give them back: header keys are UTF-8 there.
fn random_batches() -> Vec<Vec<Plain>> {
    let mut all = Vec::new();
    for log in sample_logs(40) {
        let records: Vec<Plain> = log.into_iter().flat_map(|batch| batch.records).collect();
        if !records.is_empty() {
            let numbered = records.into_iter().zip(0..);
            all.push(numbered.map(|(record, offset)| Plain { offset, ..record }).collect());
        }
    }
    // Beyond one block of any codec.
    let large = Plain {
        offset: 0,
        timestamp: 1,
        key: None,
        value: Some((0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect()),
        headers: Vec::new(),
    };
    all.push(vec![large]);
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Kafka reads the batches, and answers with its own of the same records.
fn ask_kafka(jars: &Path, lines: &[String]) -> Vec<Kafkas> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/Batches.java");
    let mut java = Command::new("java")
        .arg("-cp")
        .arg(format!("{}/*", jars.display()))
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("java starts");
    let mut input = java.stdin.take().expect("stdin is piped");
    let text = lines.join("\n");
    // Kafka answers while it reads: without a thread both sides would wait for each other.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = java.wait_with_output().expect("java ends");
    writer.join().expect("the writer does not panic").expect("java reads everything");
    assert!(output.status.success());
    parse(&String::from_utf8(output.stdout).expect("hexadecimal digits are ASCII"))
}

#[test]
fn kafka_reads_what_we_write_in_every_codec_and_we_what_it_writes() {
    let Some(jars) = jars() else {
        eprintln!("skipped: no Kafka 4.3.1 under target/kafka; `cargo xtask fetch-kafka` gets it");
        return;
    };
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for compression in Compression::ALL {
        for records in random_batches() {
            let batch = write(&records, compression);
            lines.push(format!("{} {}", compression.name(), hex(&batch.to_bytes())));
            expected.push((compression, records));
        }
    }
    let answers = ask_kafka(&jars, &lines);
    assert_eq!(answers.len(), expected.len());
    for (answer, (compression, records)) in answers.iter().zip(expected) {
        assert_eq!(answer.records, records, "as Kafka read our {compression:?}");
        let raw = answer.raw();
        assert_eq!(raw.header.attributes.compression(), compression);
        let plain = raw.decompressed(DECOMPRESSED_BYTES_MAX).unwrap();
        assert_eq!(read(&plain), records, "as we read Kafka's {compression:?}");
    }
}

#[test]
fn a_batch_of_ours_has_the_very_bytes_of_kafkas() {
    for batch in golden("create-time").into_iter().take(1) {
        let mut writer = BatchWriter::new();
        for record in &batch.records {
            let headers: Vec<Header<'_>> = record
                .headers
                .iter()
                .map(|(key, value)| Header { key, value: value.as_deref() })
                .collect();
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            writer.push(record.timestamp, key, value, &headers);
        }
        assert_eq!(writer.finish(STAMP).unwrap().payload(), &batch.raw().payload());
    }
}
