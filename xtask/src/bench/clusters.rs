//! The two clusters of a bench, and what the bench asks of them.

use std::time::{Duration, Instant};

use farlog_client::{Cluster, ClusterOptions, Connection, ServerAddress, TopicSelection};
use farlog_testkit::kafka::{JvmMode, KafkaCluster, KafkaOptions, KafkaVersion};
use farlog_wire::ErrorCode;
use farlog_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use farlog_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use super::dataset::PARTITIONS;
use super::usage::{self, CpuSeconds};
use crate::command::Failure;

/// Heap of each broker: what Kafka's own start script gives one.
const HEAP_MB: u32 = 1_024;

/// The only broker of either cluster.
const BROKER: i32 = 1;

/// `timestamp` of a ListOffsets request that asks for the log end.
const LATEST: i64 = -1;

/// `replica_id` of a request from a client.
const NO_REPLICA: i32 = -1;

/// How long a broker may take over a topic's creation or deletion.
const TOPIC_PATIENCE: Duration = Duration::from_secs(60);

/// How often a wait for the brokers looks again.
const POLL: Duration = Duration::from_millis(50);

/// One running cluster with a connection of ours.
#[derive(Debug)]
pub(crate) struct Side {
    kafka: KafkaCluster,
    pub(crate) client: Cluster,
    /// For questions in between; loads and consumers dial their own.
    pub(crate) connection: Connection,
    pid: u32,
}

/// Source and target.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) source: Side,
    pub(crate) target: Side,
}

/// How the brokers are run, for the report.
pub(crate) fn described() -> String {
    let set: Vec<String> =
        properties().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "one KRaft node each, JVM flags of Kafka's start script, -Xmx{HEAP_MB}m; {}",
        set.join(", ")
    )
}

/// Beyond what any single node needs: no topics by accident, and files of deleted topics leave the
/// disk before the next run.
fn properties() -> [(&'static str, &'static str); 2] {
    [("auto.create.topics.enable", "false"), ("log.segment.delete.delay.ms", "1000")]
}

impl Pair {
    /// Starts both.
    pub(crate) async fn start(version: KafkaVersion) -> Result<Pair, Failure> {
        Ok(Pair { source: Side::start(version).await?, target: Side::start(version).await? })
    }

    /// What both brokers complained about.
    pub(crate) fn complaints(&self) -> String {
        let mut complaints = String::new();
        for (name, side) in [("source", &self.source), ("target", &self.target)] {
            // Without the log there is less to say, and the failure itself is said anyway.
            let log = side.kafka.broker(BROKER).log().unwrap_or_default();
            for line in log.lines().filter(|line| {
                line.contains(" WARN ") || line.contains(" ERROR ") || line.contains(" FATAL ")
            }) {
                complaints.push_str(&format!("{name}: {line}\n"));
            }
        }
        complaints
    }
}

impl Side {
    async fn start(version: KafkaVersion) -> Result<Side, Failure> {
        let mut options = KafkaOptions::new(version).jvm(JvmMode::Bench).heap_mb(HEAP_MB);
        for (name, value) in properties() {
            options = options.property(name, value);
        }
        let kafka = tokio::task::block_in_place(|| KafkaCluster::start(options))
            .map_err(Failure::while_doing("cannot start Kafka"))?;
        let pid = kafka
            .broker(BROKER)
            .pid()
            .ok_or_else(|| Failure::new("the broker ended right after its start"))?;
        let servers = ServerAddress::parse_list(&kafka.bootstrap())
            .map_err(Failure::while_doing("cannot read the broker's address"))?;
        let client = Cluster::connect(ClusterOptions::new(servers))
            .await
            .map_err(Failure::while_doing("cannot connect to Kafka"))?;
        let connection = dial(&client).await?;
        Ok(Side { kafka, client, connection, pid })
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }

    /// A connection of its own to the broker.
    pub(crate) async fn dial(&self) -> Result<Connection, Failure> {
        dial(&self.client).await
    }

    /// CPU time of the broker so far.
    pub(crate) fn cpu(&self) -> Result<CpuSeconds, Failure> {
        usage::cpu(self.pid)
    }

    /// Makes a topic and waits for its leaders.
    pub(crate) async fn create_topic(&self, name: &str) -> Result<(), Failure> {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.to_owned(),
                num_partitions: PARTITIONS,
                replication_factor: 1,
                ..CreatableTopic::default()
            }],
            timeout_ms: 30_000,
            ..CreateTopicsRequest::default()
        };
        let response = self
            .client
            .send_controller(&request)
            .await
            .map_err(Failure::while_doing("cannot create a topic"))?;
        for topic in response.topics {
            if topic.error_code != ErrorCode::NONE {
                let code = topic.error_code.name();
                return Err(Failure::new(format!("cannot create topic {name}: {code}")));
            }
        }
        self.wait_for("leaders of a new topic", async || self.has_topic(name).await).await
    }

    /// Whether the broker leads every partition of a topic. Metadata would say so too early.
    pub(crate) async fn has_topic(&self, topic: &str) -> Result<bool, Failure> {
        Ok(self.log_ends(topic).await?.is_some())
    }

    async fn metadata(
        &self,
        topics: &TopicSelection,
    ) -> Result<farlog_client::ClusterMetadata, Failure> {
        self.client.metadata(topics).await.map_err(Failure::while_doing("cannot read metadata"))
    }

    /// Deletes every topic that is not the broker's own, and waits until they are gone.
    pub(crate) async fn delete_all_topics(&self) -> Result<(), Failure> {
        let names = self.deletable_topics().await?;
        if names.is_empty() {
            return Ok(());
        }
        self.delete_topics(&names).await
    }

    async fn deletable_topics(&self) -> Result<Vec<String>, Failure> {
        let metadata = self.metadata(&TopicSelection::All).await?;
        let topics = metadata.topics.into_values().filter(|topic| !topic.is_internal);
        Ok(topics.map(|topic| topic.name.to_string()).collect())
    }

    /// Deletes some topics, and waits until they are gone.
    pub(crate) async fn delete_topics(&self, names: &[String]) -> Result<(), Failure> {
        let topic = |name: &String| DeleteTopicState {
            name: Some(name.clone()),
            ..DeleteTopicState::default()
        };
        let request = DeleteTopicsRequest {
            topics: names.iter().map(topic).collect(),
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        let response = self
            .client
            .send_controller(&request)
            .await
            .map_err(Failure::while_doing("cannot delete topics"))?;
        for topic in response.responses {
            if topic.error_code != ErrorCode::NONE {
                let (name, code) = (topic.name.unwrap_or_default(), topic.error_code.name());
                return Err(Failure::new(format!("cannot delete topic {name}: {code}")));
            }
        }
        self.wait_for("deleted topics to go", async || {
            let left = self.deletable_topics().await?;
            Ok(!names.iter().any(|name| left.contains(name)))
        })
        .await
    }

    /// Log ends of all partitions together; 0 while the topic is not there.
    pub(crate) async fn records(&self, topic: &str) -> Result<u64, Failure> {
        Ok(self.log_ends(topic).await?.unwrap_or(0))
    }

    async fn log_ends(&self, topic: &str) -> Result<Option<u64>, Failure> {
        let partition = |partition_index| ListOffsetsPartition {
            partition_index,
            timestamp: LATEST,
            ..ListOffsetsPartition::default()
        };
        let request = ListOffsetsRequest {
            replica_id: NO_REPLICA,
            topics: vec![ListOffsetsTopic {
                name: topic.to_owned(),
                partitions: (0..PARTITIONS).map(partition).collect(),
            }],
            ..ListOffsetsRequest::default()
        };
        let response = self
            .connection
            .send(&request)
            .await
            .map_err(Failure::while_doing("cannot ask for log ends"))?;
        let mut records = 0;
        for partition in response.topics.into_iter().flat_map(|topic| topic.partitions) {
            match partition.error_code {
                ErrorCode::NONE => records += u64::try_from(partition.offset).unwrap_or(0),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                | ErrorCode::NOT_LEADER_OR_FOLLOWER
                | ErrorCode::LEADER_NOT_AVAILABLE => return Ok(None),
                code => return Err(Failure::new(format!("log end of {topic}: {code}"))),
            }
        }
        Ok(Some(records))
    }

    /// Looks again and again, for a minute at most.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        done: impl AsyncFn() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + TOPIC_PATIENCE;
        while !done().await? {
            if Instant::now() >= deadline {
                return Err(Failure::new(format!("waited {TOPIC_PATIENCE:?} for {what}")));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

async fn dial(client: &Cluster) -> Result<Connection, Failure> {
    client
        .dial(BROKER, &client.connection_options())
        .await
        .map_err(Failure::while_doing("cannot connect to the broker"))
}
