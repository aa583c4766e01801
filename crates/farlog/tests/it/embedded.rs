//! `farlog broker`, killed again and again under load; and embedded clusters of a settings file.

use std::ops::{ControlFlow, Not as _};
use std::path::Path;
use std::time::Duration;

use farlog_client::admin::NewTopic;
use farlog_client::{Cluster, ClusterOptions, FetchOptions, ServerAddress, TopicPartition};
use farlog_testkit::history::random::Random;
use farlog_testkit::ports::PortLease;
use farlog_testkit::process::{Program, Signal, Supervised};
use farlog_testkit::scratch::Scratch;
use farlog_wire::records::{BatchWriter, OutgoingBatch, ProducerStamp, RawBatch, batches, records};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::binary::{FARLOG, PATIENCE, Place, farlog};

const POLL: Duration = Duration::from_millis(20);
const PARTITIONS: i32 = 3;

/// Kills while logs are compacted, of which every so manieth is an orderly end; keys of
/// the records; and milliseconds (one for each record) after which Kafka would begin a segment.
const KILLS_OF_COMPACTED: usize = 30;
const ORDERLY_EVERY: usize = 4;
const KEYS: u64 = 40;
const SEGMENT_MS: u64 = 100;

pub(crate) const RECORDS_PER_BATCH: u64 = 5;

fn start(directory: &Path, port: &PortLease, start: usize) -> Supervised {
    let output = directory.join(format!("output-{start}"));
    Program::new("farlog broker", FARLOG, directory, &output)
        .args(["broker", "--listen", &port.address()])
        .args(["--set", "log.cleaner.backoff.ms=10", "--data"])
        .arg(directory.join("data"))
        .spawn()
        .unwrap()
}

async fn connect(port: &PortLease) -> Cluster {
    let servers = ServerAddress::parse_list(&port.address()).unwrap();
    let mut options = ClusterOptions::new(servers);
    options.retry.give_up_after = PATIENCE;
    Cluster::connect(options).await.unwrap()
}

/// Batch number `index` of a producer: its records bear numbers, its sequence is what it must be.
pub(crate) fn batch(producer_id: i64, index: u64) -> OutgoingBatch {
    let mut writer = BatchWriter::new();
    let first = index * RECORDS_PER_BATCH;
    for number in first..first + RECORDS_PER_BATCH {
        let timestamp = i64::try_from(1_000 + number).unwrap();
        let key = (number % KEYS).to_be_bytes();
        writer.push(timestamp, Some(&key), Some(&number.to_be_bytes()), &[]);
    }
    let base_sequence = i32::try_from(first).unwrap();
    writer.finish(ProducerStamp { producer_id, producer_epoch: 0, base_sequence }).unwrap()
}

/// Produces until told to stop; tells how many batches were acknowledged.
pub(crate) fn produce(
    cluster: Cluster,
    partition: i32,
    acknowledged: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let producer_id = cluster.init_producer_id().await.unwrap().producer_id;
        let place = TopicPartition::new("numbers", partition);
        for index in 0.. {
            if *stop.borrow() {
                return;
            }
            // Sent again after every kill: the broker must recognise what it has.
            let appended = cluster.produce_batch(&place, &batch(producer_id, index)).await.unwrap();
            let expected = i64::try_from(index * RECORDS_PER_BATCH).unwrap();
            assert_eq!(appended.base_offset, expected, "{place}: something is lost or twice");
            acknowledged.send_replace(index + 1);
        }
    })
}

pub(crate) async fn numbers(cluster: &Cluster, partition: i32, end: u64) -> Vec<u64> {
    let place = TopicPartition::new("numbers", partition);
    let (mut offset, mut numbers) = (0, Vec::new());
    while (numbers.len() as u64) < end {
        let fetched = cluster.fetch(&place, offset, &FetchOptions::default()).await.unwrap();
        for batch in batches(fetched.records) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            for record in records(&batch).unwrap() {
                assert_eq!(record.offset, i64::try_from(numbers.len()).unwrap());
                numbers.push(u64::from_be_bytes(record.value.unwrap().try_into().unwrap()));
            }
            offset = batch.header.next_offset();
        }
    }
    numbers
}

/// Both ends of a link live in the process that mirrors; other commands find them, and a restart
/// finds what was there.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_a_settings_file_may_be_embedded() {
    let (from, to) = (PortLease::take().unwrap(), PortLease::take().unwrap());
    let (source, target) = (from.address(), to.address());
    let settings = format!(
        "version: 1\n\
         clusters:\n  \
           here: {{ embedded: {{ data: ./data/here, listen: \"{source}\" }} }}\n  \
           there: {{ embedded: {{ data: ./data/there, listen: \"{target}\", fsync: false }} }}\n\
         links:\n  over: {{ source: here, target: there, topics: [numbers] }}\n"
    );
    let place = Place::new("farlog.yaml", &settings);
    let unreachable = farlog(&["lag", place.file()]);
    let said = String::from_utf8_lossy(&unreachable.stderr).into_owned();
    assert!(said.contains("it is embedded: it serves while `farlog run` does"), "{said}");

    let mut mirrored = 0;
    for start in ["first", "second"] {
        let mut instance = place.run(start, &[]);
        instance.until("the links", |instance| instance.log().contains("farlog is running"));
        assert_eq!(instance.log().matches("what was found: records are in").count(), 2);
        let (here, there) = (connect(&from).await, connect(&to).await);
        if start == "first" {
            let topic = NewTopic {
                name: "numbers".to_owned(),
                partitions: Some(1),
                replication_factor: Some(1),
                configs: Default::default(),
            };
            here.create_topics(&[topic], false).await.unwrap();
        }
        let producer_id = here.init_producer_id().await.unwrap().producer_id;
        let numbers_topic = TopicPartition::new("numbers", 0);
        let produced = here.produce_batch(&numbers_topic, &batch(producer_id, 0)).await.unwrap();
        assert_eq!(produced.base_offset, i64::try_from(mirrored).unwrap());
        mirrored += RECORDS_PER_BATCH;
        // Until then the mirror may not even be there.
        let arrived = async {
            while there
                .fetch(&numbers_topic, mirrored as i64 - 1, &FetchOptions::default())
                .await
                .is_ok_and(|fetched| !fetched.records.is_empty())
                .not()
            {
                tokio::time::sleep(POLL).await;
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, arrived).await;
        assert!(arrived.is_ok(), "nothing was mirrored:\n{}", instance.log());
        assert!(farlog(&["lag", place.file()]).status.success());
        let again: Vec<u64> = (0..mirrored).map(|number| number % RECORDS_PER_BATCH).collect();
        assert_eq!(numbers(&there, 0, mirrored).await, again);
        instance.process.signal(Signal::Terminate).unwrap();
        assert_eq!(instance.exit_code(), Some(0), "{}", instance.log());
    }
}

/// Kills while logs are compacted (of others, see `broker_kills.rs`): what producers wrote last is
/// remembered, no offset changes, and of every key the newest record is there.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_under_kills_keeps_the_newest_of_every_key() {
    let (scratch, port) = (Scratch::new("compacted").unwrap(), PortLease::take().unwrap());
    let mut random = Random::new(815);
    let mut broker = start(scratch.path(), &port, 0);
    let cluster = connect(&port).await;
    let config = |name: &str, value: String| (name.to_owned(), value);
    let configs = [
        config("cleanup.policy", "compact".to_owned()),
        config("min.cleanable.dirty.ratio", "0".to_owned()),
        config("segment.ms", SEGMENT_MS.to_string()),
    ];
    let topic = NewTopic {
        name: "numbers".to_owned(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        configs: configs.into(),
    };
    cluster.create_topics(&[topic], false).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let mut producers = Vec::new();
    for partition in 0..PARTITIONS {
        let (acknowledged, told) = watch::channel(0);
        let producing = produce(connect(&port).await, partition, acknowledged, stopping.clone());
        producers.push((producing, told));
    }
    for kill in 1..=KILLS_OF_COMPACTED {
        let (_, told) = &mut producers[kill % PARTITIONS as usize];
        let wanted = *told.borrow() + random.between(1, 60);
        tokio::time::timeout(PATIENCE, told.wait_for(|&batches| batches >= wanted))
            .await
            .unwrap_or_else(|_| panic!("no progress before kill {kill}: {}", broker.tail()))
            .expect("a producer ended");
        tokio::time::sleep(Duration::from_micros(random.below(3_000))).await;
        if kill % ORDERLY_EVERY == 0 {
            assert!(broker.stop(PATIENCE).unwrap(), "{}", broker.tail());
        } else {
            broker.kill().unwrap();
        }
        broker = start(scratch.path(), &port, kill);
    }
    stop.send_replace(true);
    for (partition, (producing, told)) in (0..).zip(producers) {
        producing.await.unwrap();
        let records = *told.borrow() * RECORDS_PER_BATCH;
        let found = until_compacted(&cluster, partition, records).await;
        let newest = (0..KEYS).filter_map(|key| (0..records).rfind(|number| number % KEYS == key));
        for number in newest {
            assert!(found.contains(&number), "{number} of partition {partition}");
        }
    }
    assert!(broker.stop(PATIENCE).unwrap(), "{}", broker.tail());
}

/// The numbers in a partition of so many records, once the older half is gone but for the newest.
async fn until_compacted(cluster: &Cluster, partition: i32, records_total: u64) -> Vec<u64> {
    let place = TopicPartition::new("numbers", partition);
    let compacted = async {
        loop {
            let mut found = Vec::new();
            let mut add = |batch: RawBatch| {
                for record in records(&batch).unwrap() {
                    let number = u64::from_be_bytes(record.value.unwrap().try_into().unwrap());
                    assert_eq!(record.offset, i64::try_from(number).unwrap());
                    found.push(number);
                }
                ControlFlow::Continue(())
            };
            let read = cluster.read_to_end(&place, &FetchOptions::default(), &mut add).await;
            assert_eq!(read.unwrap(), i64::try_from(records_total).unwrap());
            let older = found.iter().filter(|&&number| number < records_total / 2).count() as u64;
            if older <= KEYS {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, compacted).await.expect("it is compacted")
}
