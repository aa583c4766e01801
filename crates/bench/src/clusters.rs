//! The two clusters of a bench, and what the bench asks of them.

use std::time::{Duration, Instant};

use farlog_client::{Cluster, ClusterOptions, Connection, ServerAddress, TopicSelection};
use farlog_testkit::jars::Jars;
use farlog_testkit::kafka::{JvmMode, KafkaCluster, KafkaOptions};
use farlog_testkit::usage;
use farlog_wire::ErrorCode;
use farlog_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use farlog_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use crate::dataset::PARTITIONS;
use crate::error::BenchError;

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

/// A connection breaks a moment before the process that it led to is known to have ended.
const DEATH_PATIENCE: Duration = Duration::from_millis(500);

/// The most complaints of one broker that an error quotes: the latest.
const COMPLAINTS_MAX: usize = 20;

/// One running cluster with a connection of ours.
#[derive(Debug)]
pub(crate) struct Side {
    /// What errors call it.
    name: String,
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
    pub(crate) async fn start(jars: &Jars) -> Result<Pair, BenchError> {
        let (source, target) =
            tokio::try_join!(Side::start("source", jars), Side::start("target", jars))?;
        Ok(Pair { source, target })
    }

    /// Comes back when one of the brokers has ended, and says which and how.
    pub(crate) async fn death(&self) -> BenchError {
        loop {
            for side in [&self.source, &self.target] {
                if let Some(death) = side.death() {
                    return death;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What is behind an error of the bench: a broker that has ended, or what they complained of.
    pub(crate) async fn explain(&self, error: BenchError) -> BenchError {
        if matches!(error, BenchError::Died { .. }) {
            return error;
        }
        match tokio::time::timeout(DEATH_PATIENCE, self.death()).await {
            Ok(BenchError::Died { name, status, tail, .. }) => {
                BenchError::Died { name, status, tail, noticed: Some(Box::new(error)) }
            }
            Ok(_) | Err(_) => {
                let complaints = self.source.complaints() + &self.target.complaints();
                if complaints.is_empty() {
                    return error;
                }
                BenchError::WithComplaints { error: Box::new(error), complaints }
            }
        }
    }
}

impl Side {
    async fn start(role: &str, jars: &Jars) -> Result<Side, BenchError> {
        let options = KafkaOptions::new(jars.version()).jars(jars);
        let mut options = options.jvm(JvmMode::Bench).heap_mb(HEAP_MB);
        for (name, value) in properties() {
            options = options.property(name, value);
        }
        let kafka = tokio::task::spawn_blocking(|| KafkaCluster::start(options))
            .await
            .map_err(BenchError::while_doing("a task of the bench failed"))?
            .map_err(BenchError::while_doing(format!("cannot start the {role} cluster")))?;
        let pid = kafka
            .broker(BROKER)
            .pid()
            .ok_or_else(|| BenchError::new("the broker ended right after its start"))?;
        let servers = ServerAddress::parse_list(&kafka.bootstrap())
            .map_err(BenchError::while_doing("cannot read the broker's address"))?;
        let client = Cluster::connect(ClusterOptions::new(servers))
            .await
            .map_err(BenchError::while_doing("cannot connect to Kafka"))?;
        let connection = dial(&client).await?;
        let name = format!("the {role} broker (Kafka {}, process {pid})", jars.release());
        Ok(Side { name, kafka, client, connection, pid })
    }

    /// Which broker ended and how, if it has.
    fn death(&self) -> Option<BenchError> {
        let broker = self.kafka.broker(BROKER);
        match broker.ended() {
            Ok(None) => None,
            Ok(Some(status)) => Some(BenchError::Died {
                name: self.name.clone(),
                status,
                tail: broker.log_tail(),
                noticed: None,
            }),
            Err(error) => {
                Some(BenchError::while_doing(format!("{} cannot be watched", self.name))(error))
            }
        }
    }

    /// Ends the broker as a power failure would.
    pub(crate) fn kill(&self) -> Result<(), BenchError> {
        let killed = tokio::task::block_in_place(|| self.kafka.broker(BROKER).kill());
        killed.map_err(BenchError::while_doing(format!("cannot kill {}", self.name)))
    }

    /// What the broker complained about, a line each.
    fn complaints(&self) -> String {
        // Without the log there is less to say, and the error itself is said anyway.
        let log = self.kafka.broker(BROKER).log().unwrap_or_default();
        let is_complaint =
            |line: &&str| [" WARN ", " ERROR ", " FATAL "].iter().any(|level| line.contains(level));
        let complaints: Vec<&str> = log.lines().filter(is_complaint).collect();
        let latest = &complaints[complaints.len().saturating_sub(COMPLAINTS_MAX)..];
        latest.iter().map(|line| format!("{}: {line}\n", self.name)).collect()
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }

    /// A connection of its own to the broker.
    pub(crate) async fn dial(&self) -> Result<Connection, BenchError> {
        dial(&self.client).await
    }

    /// CPU time of the broker so far.
    pub(crate) fn cpu(&self) -> Result<Duration, BenchError> {
        usage::cpu(self.pid).map_err(BenchError::while_doing(format!("CPU time of {}", self.name)))
    }

    /// Makes a topic and waits for its leaders.
    pub(crate) async fn create_topic(&self, name: &str) -> Result<(), BenchError> {
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
            .map_err(BenchError::while_doing("cannot create a topic"))?;
        for topic in response.topics {
            if topic.error_code != ErrorCode::NONE {
                let code = topic.error_code.name();
                return Err(BenchError::new(format!("cannot create topic {name}: {code}")));
            }
        }
        self.wait_for("leaders of a new topic", async || self.has_topic(name).await).await
    }

    /// Whether the broker leads every partition of a topic. Metadata would say so too early.
    pub(crate) async fn has_topic(&self, topic: &str) -> Result<bool, BenchError> {
        Ok(self.log_ends(topic).await?.is_some())
    }

    async fn metadata(
        &self,
        topics: &TopicSelection,
    ) -> Result<farlog_client::ClusterMetadata, BenchError> {
        self.client.metadata(topics).await.map_err(BenchError::while_doing("cannot read metadata"))
    }

    /// Deletes every topic that is not the broker's own, and waits until they are gone.
    pub(crate) async fn delete_all_topics(&self) -> Result<(), BenchError> {
        let names = self.deletable_topics().await?;
        if names.is_empty() {
            return Ok(());
        }
        self.delete_topics(&names).await
    }

    async fn deletable_topics(&self) -> Result<Vec<String>, BenchError> {
        let metadata = self.metadata(&TopicSelection::All).await?;
        let topics = metadata.topics.into_values().filter(|topic| !topic.is_internal);
        Ok(topics.map(|topic| topic.name.to_string()).collect())
    }

    /// Deletes some topics, and waits until they are gone.
    pub(crate) async fn delete_topics(&self, names: &[String]) -> Result<(), BenchError> {
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
            .map_err(BenchError::while_doing("cannot delete topics"))?;
        for topic in response.responses {
            if topic.error_code != ErrorCode::NONE {
                let (name, code) = (topic.name.unwrap_or_default(), topic.error_code.name());
                return Err(BenchError::new(format!("cannot delete topic {name}: {code}")));
            }
        }
        self.wait_for("deleted topics to go", async || {
            let left = self.deletable_topics().await?;
            Ok(!names.iter().any(|name| left.contains(name)))
        })
        .await
    }

    /// Log ends of all partitions together; 0 while the topic is not there.
    pub(crate) async fn records(&self, topic: &str) -> Result<u64, BenchError> {
        Ok(self.log_ends(topic).await?.unwrap_or(0))
    }

    async fn log_ends(&self, topic: &str) -> Result<Option<u64>, BenchError> {
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
            .map_err(BenchError::while_doing("cannot ask for log ends"))?;
        let mut records = 0;
        for partition in response.topics.into_iter().flat_map(|topic| topic.partitions) {
            match partition.error_code {
                ErrorCode::NONE => records += u64::try_from(partition.offset).unwrap_or(0),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                | ErrorCode::NOT_LEADER_OR_FOLLOWER
                | ErrorCode::LEADER_NOT_AVAILABLE => return Ok(None),
                code => return Err(BenchError::new(format!("log end of {topic}: {code}"))),
            }
        }
        Ok(Some(records))
    }

    /// Looks again and again, for a minute at most.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        done: impl AsyncFn() -> Result<bool, BenchError>,
    ) -> Result<(), BenchError> {
        let deadline = Instant::now() + TOPIC_PATIENCE;
        while !done().await? {
            if Instant::now() >= deadline {
                return Err(BenchError::new(format!("waited {TOPIC_PATIENCE:?} for {what}")));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

async fn dial(client: &Cluster) -> Result<Connection, BenchError> {
    client
        .dial(BROKER, &client.connection_options())
        .await
        .map_err(BenchError::while_doing("cannot connect to the broker"))
}
