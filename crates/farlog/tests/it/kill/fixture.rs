//! What named histories have in common: a pair of clusters for all of them, and for each a prefix
//! of its own, a link of its own, and up to two instances that mirror it.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use farlog_client::TopicPartition;
use farlog_testkit::history::batch::{Codec, Stamp};
use farlog_testkit::history::checker::{Extent, check};
use farlog_testkit::history::generator::{Generator, GeneratorOptions, TopicKind, TopicPlan};
use farlog_testkit::history::orchestrator::{
    Clusters, Diary, Instances, LinkFile, Verdict, check_topics, partition_state, status,
};
use farlog_testkit::history::reader::{PartitionLog, last_record, read_partition};
use farlog_testkit::history::record::LogRecord;
use farlog_testkit::history::{RecordId, Session};
use farlog_testkit::scratch::Scratch;
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

/// Nothing that a test waits for takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The program under test.
pub(super) const FARLOG: &str = env!("CARGO_BIN_EXE_farlog");

const POLL: Duration = Duration::from_millis(50);

/// Two days: beyond what a target remembers a producer for.
pub(super) const OLD_MS: i64 = 2 * 24 * 3_600 * 1_000;

static CLUSTERS: OnceLock<Arc<Clusters>> = OnceLock::new();

/// One history.
pub(super) struct History {
    pub(super) clusters: Arc<Clusters>,
    pub(super) source: Session,
    pub(super) target: Session,
    pub(super) instances: Instances,
    pub(super) link: LinkFile,
    prefix: String,
    scratch: Scratch,
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The clusters that all named histories share.
fn shared() -> Arc<Clusters> {
    let start = || Arc::new(block_in_place(|| Clusters::start().unwrap()));
    Arc::clone(CLUSTERS.get_or_init(start))
}

impl History {
    /// A history on the shared clusters; `name` is its link, and the prefix of its topics.
    pub(super) async fn new(name: &str) -> History {
        History::on(shared(), name, |link| link).await
    }

    /// The same, with settings of its own.
    pub(super) async fn with(name: &str, edit: impl FnOnce(LinkFile) -> LinkFile) -> History {
        History::on(shared(), name, edit).await
    }

    /// A history on clusters that nobody else uses.
    pub(super) async fn alone(name: &str) -> History {
        let clusters = Arc::new(block_in_place(|| Clusters::start().unwrap()));
        History::on(clusters, name, |link| link).await
    }

    async fn on(
        clusters: Arc<Clusters>,
        name: &str,
        edit: impl FnOnce(LinkFile) -> LinkFile,
    ) -> History {
        let source = Session::connect(&clusters.source().bootstrap()).await.unwrap();
        let target = Session::connect(&clusters.target().bootstrap()).await.unwrap();
        let scratch = Scratch::new(name).unwrap();
        let diary = Diary::create(&scratch.join("history.log")).unwrap();
        let prefix = format!("{name}-");
        let link = edit(LinkFile::new(name, &clusters, &prefix));
        let command = link.command(Path::new(FARLOG), scratch.path()).unwrap();
        let instances = Instances::new(command, diary).unwrap();
        History { clusters, source, target, instances, link, prefix, scratch }
    }

    /// A topic's full name.
    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The settings file of its link.
    pub(super) fn file(&self) -> std::path::PathBuf {
        self.scratch.join("farlog.yaml")
    }

    /// A generator for topics of these kinds; with records two days old if `age_ms` says so.
    pub(super) async fn generator(
        &self,
        seed: u64,
        topics: &[(&str, TopicKind, i32)],
        age_ms: i64,
    ) -> Generator {
        let topics = topics.iter().map(|(name, kind, partitions)| TopicPlan {
            name: self.topic(name),
            kind: *kind,
            partitions: *partitions,
            age_ms,
        });
        let options =
            GeneratorOptions { seed, topics: topics.collect(), base_timestamp_ms: now_ms() };
        Generator::create(self.source.clone(), options).await.unwrap()
    }

    /// Starts an instance and waits until it says what it does.
    pub(super) async fn start(&mut self, slot: usize) {
        self.instances.start(slot).unwrap();
        let address = self.instances.address(slot);
        self.until("an instance serves its status", async || status(&address).await.is_ok()).await;
    }

    pub(super) fn kill(&mut self, slot: usize) {
        block_in_place(|| self.instances.kill(slot)).unwrap();
    }

    /// Stops an instance as an operator would.
    pub(super) fn stop(&mut self, slot: usize) {
        assert!(block_in_place(|| self.instances.stop(slot)).unwrap(), "it did not drain in time");
    }

    /// What an instance says its link does: `active`, `standby` and so on.
    pub(super) async fn link_state(&self, slot: usize) -> String {
        let status = status(&self.instances.address(slot)).await;
        let status = status.unwrap_or_default();
        let link = status.pointer("/links/0").unwrap_or(&status);
        link["state"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until one of the instances mirrors, and says which.
    pub(super) async fn active(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for slot in 0..2 {
                if self.instances.runs(slot) && self.link_state(slot).await == "active" {
                    return slot;
                }
            }
            assert!(Instant::now() < deadline, "no instance became active");
            sleep(POLL).await;
        }
    }

    /// Waits until the first instance gives a partition this state, and returns what it says.
    pub(super) async fn until_state(&self, topic: &str, partition: i32, state: &str) -> Value {
        let address = self.instances.address(0);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = partition_state(&address, topic, partition).await;
            if let Ok(said) = &said
                && said["state"] == state
            {
                return said.clone();
            }
            assert!(Instant::now() < deadline, "{topic}-{partition} is not {state}: {said:?}");
            sleep(POLL).await;
        }
    }

    /// Waits until the mirror's last record is the source's, and compares all of them.
    pub(super) async fn same(&self, topic: &str, partition: i32) -> PartitionLog {
        self.same_from(topic, partition, i64::MIN).await
    }

    /// The same for source records from an offset on.
    pub(super) async fn same_from(&self, topic: &str, partition: i32, from: i64) -> PartitionLog {
        let deadline = Instant::now() + PATIENCE;
        let source = read_partition(&self.source, topic, partition).await.unwrap();
        let last = source.records.last().map(LogRecord::identity);
        loop {
            let mirrored = match self.target.partitions(topic).await.unwrap() {
                count if count > partition => {
                    last_record(&self.target, topic, partition).await.unwrap()
                }
                _ => None,
            };
            if mirrored.map(|record| record.identity()) == last {
                break;
            }
            let state = partition_state(&self.instances.address(0), topic, partition).await;
            assert!(Instant::now() < deadline, "{topic}-{partition} is behind: {state:?}");
            sleep(POLL).await;
        }
        let mirror = read_partition(&self.target, topic, partition).await.unwrap();
        let mut expected = source.expected();
        expected.retain(|one| one.source_offset >= from);
        let report = check(&expected, &source.aborted_identities(), &mirror, Extent::Whole);
        assert_eq!(report.findings_total, 0, "{report}");
        mirror
    }

    /// Lets one instance catch up and holds every topic of a generator against its mirror.
    pub(super) async fn verdict(&mut self, generator: &mut Generator) -> Verdict {
        generator.settle().await.unwrap();
        self.kill(1);
        self.start(0).await;
        let address = self.instances.address(0);
        let verdict = check_topics(&self.source, &self.target, generator, &address, PATIENCE);
        let verdict = verdict.await.unwrap();
        assert!(
            verdict.is_clean(),
            "stuck: {:?}\nsources: {}\nmirrors: {}\n{}",
            verdict.stuck,
            verdict.sources,
            verdict.mirrors,
            self.instances.tail(0)
        );
        verdict
    }

    /// Waits until the target remembers no producer of a partition.
    pub(super) async fn until_forgotten(&self, topic: &str, partition: i32) {
        let name = TopicPartition::new(topic, partition);
        self.until("the target forgets the producer id", async || {
            let described = self.target.cluster().describe_producers([name.clone()]).await;
            matches!(described.get(&name), Some(Ok(producers)) if producers.is_empty())
        })
        .await;
    }

    pub(super) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so().await {
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
            sleep(POLL).await;
        }
    }

    /// Appends a batch of named records to the source; ordinals from `first`.
    pub(super) async fn append(&self, topic: &str, partition: i32, first: u64, count: u64) -> i64 {
        let records = records(topic, partition, first, count, now_ms());
        self.append_records(topic, partition, &records, Codec::NONE).await
    }

    /// Appends one batch to the source; its base offset.
    pub(super) async fn append_records(
        &self,
        topic: &str,
        partition: i32,
        records: &[LogRecord],
        codec: Codec,
    ) -> i64 {
        let stamp = Stamp::plain();
        let appended = self.source.append_compressed(topic, partition, records, &stamp, codec);
        appended.await.unwrap().base_offset
    }
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.instances.keep_files();
            eprintln!("{:?} mirrored into {:?}", self.link, self.scratch.path());
        }
    }
}

/// Named records, all of one millisecond after the other.
pub(crate) fn records(
    topic: &str,
    partition: i32,
    first: u64,
    count: u64,
    timestamp_ms: i64,
) -> Vec<LogRecord> {
    (first..first + count)
        .map(|ordinal| {
            let mut value = RecordId { topic: topic.to_owned(), partition, ordinal }.to_field();
            value.extend_from_slice(&[b'.'; 40]);
            LogRecord {
                offset: 0,
                timestamp_ms: timestamp_ms + ordinal as i64,
                key: Some(Bytes::from(format!("key-{ordinal}"))),
                value: Some(value.into()),
                headers: Vec::new(),
            }
        })
        .collect()
}
