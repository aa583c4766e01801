//! Two clusters that all tests of this binary share, links between them, and what logs hold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farlog_client::admin::{IsolationLevel, NewTopic, OffsetSpec};
use farlog_client::{Cluster, ClusterOptions, ServerAddress, TopicPartition};
use farlog_link::status::{LinkStatus, PartitionState, PartitionStatus};
use farlog_link::topics::{Naming, NamingPolicy, TopicFilter, TopicRule, TopicSelection};
use farlog_link::{Clock, Link, LinkError, LinkHandle, LinkOptions};
use farlog_testkit::kafka::{KafkaOptions, KafkaVersion, SharedKafka};
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::records::{OutgoingBatch, RawBatch, batches, records};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Nothing that a test waits for takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static SOURCE: SharedKafka = SharedKafka::new(|| {
    KafkaOptions::new(KafkaVersion::V4_3)
        .property("log.cleaner.backoff.ms", 500)
        .property("transaction.abort.timed.out.transaction.cleanup.interval.ms", 500)
});
static TARGET: SharedKafka = SharedKafka::new(|| {
    KafkaOptions::new(KafkaVersion::V4_3)
        .property("group.min.session.timeout.ms", 500)
        .property("log.cleaner.backoff.ms", 500)
        // Forgets producer ids by their records' timestamps within a second, not within a day.
        .property("producer.id.expiration.check.interval.ms", 1000)
});

/// Both clusters.
pub(crate) struct Pair {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
}

/// A link that runs in this process.
pub(crate) struct Running {
    pub(crate) handle: LinkHandle,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), LinkError>>,
}

/// A record as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

pub(crate) async fn pair() -> Pair {
    let connect = async |kafka: &SharedKafka| {
        let servers = ServerAddress::parse_list(&kafka.get().bootstrap()).unwrap();
        Cluster::connect(ClusterOptions::new(servers)).await.unwrap()
    };
    Pair { source: connect(&SOURCE).await, target: connect(&TARGET).await }
}

/// Bootstrap servers of both clusters.
pub(crate) fn bootstraps() -> (String, String) {
    (SOURCE.get().bootstrap(), TARGET.get().bootstrap())
}

/// A name that no other test has.
pub(crate) fn unique(purpose: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{purpose}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) async fn create_topic(
    cluster: &Cluster,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) {
    let configs: BTreeMap<String, String> =
        configs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs,
    };
    let results = cluster.create_topics(&[topic], false).await.unwrap();
    results[name].as_ref().unwrap();
}

/// Options of a link for one topic, under the same name.
pub(crate) fn options(topic: &str) -> LinkOptions {
    let selection = TopicSelection {
        filter: TopicFilter {
            include: vec![TopicRule::Literal(topic.to_owned())],
            exclude: vec![],
        },
        heartbeats: false,
        naming: NamingPolicy::new(Naming::Same, "east", "west"),
    };
    LinkOptions {
        refresh_interval: Duration::from_millis(300),
        session_timeout: Duration::from_secs(1),
        ..LinkOptions::new(format!("link-{topic}"), "east", "west", selection)
    }
}

pub(crate) fn start(pair: &Pair, options: LinkOptions) -> Running {
    let link = Link::new(options, pair.source.clone(), pair.target.clone(), Clock::system());
    let handle = link.handle();
    let (stop, shutdown) = watch::channel(false);
    Running { handle, stop, task: tokio::spawn(link.run(shutdown)) }
}

impl Running {
    /// Waits until the link says what `wanted` looks for.
    pub(crate) async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&LinkStatus) -> bool,
    ) -> LinkStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.handle.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {status:#?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until every partition of `partitions` has mirrored up to the source's log end.
    pub(crate) async fn caught_up(&self, pair: &Pair, topic: &str, partitions: i32) -> LinkStatus {
        let mut ends = Vec::new();
        for partition in 0..partitions {
            ends.push(log_end(&pair.source, topic, partition).await);
        }
        let done = |partition: &PartitionStatus| {
            partition.state == PartitionState::CaughtUp
                && partition.source_offset >= ends[partition.partition as usize]
        };
        self.until("catching up", |status| {
            status.partitions.len() == ends.len() && status.partitions.iter().all(done)
        })
        .await
    }

    /// Waits until the one partition is in a state.
    pub(crate) async fn state(&self, state: PartitionState) -> PartitionStatus {
        let found = |status: &LinkStatus| status.partitions.iter().any(|p| p.state == state);
        let status = self.until(state.name(), found).await;
        status.partitions.into_iter().find(|p| p.state == state).unwrap()
    }

    /// Stops it as SIGTERM would.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
    }

    /// Ends it without a word.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub(crate) async fn produce(cluster: &Cluster, topic: &str, partition: i32, batch: &OutgoingBatch) {
    cluster.produce_batch(&TopicPartition::new(topic, partition), batch).await.unwrap();
}

/// The high watermark.
pub(crate) async fn log_end(cluster: &Cluster, topic: &str, partition: i32) -> i64 {
    let name = TopicPartition::new(topic, partition);
    let spec = [(name.clone(), OffsetSpec::Latest)];
    let found = cluster.list_offsets(IsolationLevel::ReadUncommitted, spec).await;
    found[&name].as_ref().unwrap().offset.unwrap()
}

/// The log start.
pub(crate) async fn log_start(cluster: &Cluster, topic: &str, partition: i32) -> i64 {
    let name = TopicPartition::new(topic, partition);
    let spec = [(name.clone(), OffsetSpec::Earliest)];
    let found = cluster.list_offsets(IsolationLevel::ReadUncommitted, spec).await;
    found[&name].as_ref().unwrap().offset.unwrap()
}

/// All batches of a partition.
pub(crate) async fn log(cluster: &Cluster, topic: &str, partition: i32) -> Vec<RawBatch> {
    let end = log_end(cluster, topic, partition).await;
    let metadata = cluster.metadata(&farlog_client::TopicSelection::one(topic)).await.unwrap();
    let leader = metadata.leader(topic, partition).unwrap().name.id.unwrap();
    let topic_id = metadata.topics[topic].topic_id.unwrap_or_default();
    let mut found = Vec::new();
    let mut offset = log_start(cluster, topic, partition).await;
    while offset < end {
        let request = FetchRequest {
            max_bytes: 8 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: topic.to_owned(),
                topic_id,
                partitions: vec![FetchPartition {
                    partition,
                    current_leader_epoch: -1,
                    fetch_offset: offset,
                    last_fetched_epoch: -1,
                    log_start_offset: -1,
                    partition_max_bytes: 8 << 20,
                    ..FetchPartition::default()
                }],
            }],
            ..FetchRequest::default()
        };
        let response = cluster.send_to(leader, &request).await.unwrap();
        let data = response.responses.into_iter().next().unwrap().partitions.remove(0);
        let fetched: Vec<RawBatch> =
            batches(data.records.unwrap_or_default()).collect::<Result<_, _>>().unwrap();
        let Some(last) = fetched.last() else { break };
        offset = last.header.next_offset();
        found.extend(fetched);
    }
    found
}

/// The data records of a partition, whatever became of their transactions.
pub(crate) async fn seen(cluster: &Cluster, topic: &str, partition: i32) -> Vec<Seen> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let mut found = Vec::new();
    for batch in log(cluster, topic, partition).await {
        if batch.header.attributes.is_control() {
            continue;
        }
        let plain = batch.decompressed(64 << 20).unwrap();
        found.extend(records(&plain).unwrap().into_iter().map(|record| Seen {
            offset: record.offset,
            timestamp: record.timestamp,
            key: text(record.key),
            value: text(record.value),
        }));
    }
    found
}
