//! What the cluster knows of itself: its id, its topics, their configs, users' credentials, and
//! from where producer ids are taken. Kept in a log of its own, one record for each change, read
//! once at start.

mod record;
mod replay;
mod rules;
mod security;
mod topic;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use farlog_store::{AppendError, Batch, LogId, ReadError, RecoveredLog, Store, StoreError};
use farlog_wire::records::{BatchError, BatchWriter};
use farlog_wire::{ErrorCode, Uuid};

use crate::clock::Clock;
use crate::partition::{Partition, PartitionOptions};
use crate::topic_configs::TopicConfigs;
use record::Record;
use replay::read;
pub(crate) use rules::check_name;
use rules::{check_partitions, collide, exists};
pub(crate) use security::ScramChange;
use security::SecurityState;
pub(crate) use topic::{Topic, is_internal};

/// The log of the catalog: no topic has this id, which Kafka uses for its own metadata.
const CATALOG: LogId =
    LogId { topic: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], partition: 0 };

/// Producer ids are taken from the log in blocks, as Kafka's brokers do.
const PRODUCER_IDS_PER_BLOCK: i64 = 1_000;

/// The catalog cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A change could not be made durable.
    #[error("writing the cluster's catalog: {0}")]
    Append(#[from] AppendError),
    /// A change could not be made durable.
    #[error("writing the cluster's catalog: {0}")]
    Store(#[from] StoreError),
    /// Its log cannot be read.
    #[error("reading the cluster's catalog: {0}")]
    Read(#[from] ReadError),
    /// Its log holds something that is not a batch.
    #[error("the cluster's catalog is damaged: {0}")]
    Damaged(#[from] BatchError),
    /// Its log holds something that is not a change, or one of a later release.
    #[error("the cluster's catalog is damaged, or of a later release, at offset {offset}: {why}")]
    Record {
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        why: String,
    },
    /// A topic's log cannot be read.
    #[error("partition {partition} of topic {topic}: {why}")]
    Partition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is wrong.
        why: String,
    },
}

/// A refusal, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
}

/// The cluster's knowledge of itself.
#[derive(Debug)]
pub(crate) struct Catalog {
    store: Store,
    clock: Clock,
    /// Rises with every start; batches are appended under it.
    leader_epoch: i32,
    known: RwLock<Known>,
    /// One change at a time; the next offset of the log.
    writing: tokio::sync::Mutex<i64>,
}

#[derive(Debug, Default)]
struct Known {
    cluster_id: String,
    topics: BTreeMap<String, Arc<Topic>>,
    names: HashMap<Uuid, String>,
    security: SecurityState,
    /// The next producer id to give away, and the end of the block it is from.
    producer_ids: (i64, i64),
}

/// A topic to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    fn storage(error: &CatalogError) -> Self {
        tracing::error!(%error, "a change of the catalog was not written");
        Self::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

impl Catalog {
    /// Reads the log, or begins one.
    pub(crate) async fn open(
        store: Store,
        recovered: Vec<RecoveredLog>,
        cluster_id: Option<String>,
        clock: Clock,
    ) -> Result<Self, CatalogError> {
        store.create(CATALOG, 0).await?;
        let mut found: HashMap<LogId, RecoveredLog> =
            recovered.into_iter().map(|log| (log.id, log)).collect();
        let (declared, next_offset) = read(&store).await?;
        let catalog = Self {
            store,
            clock,
            leader_epoch: declared.starts,
            known: RwLock::default(),
            writing: tokio::sync::Mutex::new(next_offset),
        };
        let mut known = Known {
            cluster_id: declared.cluster_id.clone(),
            producer_ids: (declared.producer_ids_end, declared.producer_ids_end),
            security: declared.security,
            ..Known::default()
        };
        let (mut count, mut bytes_read) = (0_usize, 0);
        for (name, topic) in declared.topics {
            let configs = TopicConfigs::of(topic.configs);
            let mut partitions = Vec::new();
            for index in 0..topic.partitions {
                let log = found.remove(&log_id(topic.id, index));
                let options = catalog.partition_options(topic.id, &name, index, &configs);
                let recovered = Partition::recover(options, log, catalog.clock.now_ms()).await;
                let recovered = recovered.map_err(|why| CatalogError::Partition {
                    topic: name.clone(),
                    partition: index,
                    why,
                })?;
                (count, bytes_read) = (count + 1, bytes_read + recovered.bytes_read);
                partitions.push(Arc::new(recovered.partition));
            }
            known.add(Topic { id: topic.id, name, configs: Arc::new(configs), partitions });
        }
        if count > 0 {
            tracing::info!(partitions = count, bytes_read, "partitions were read back");
        }
        for id in found.into_keys().filter(|&id| id != CATALOG) {
            // The topic was deleted, or never made to the end.
            catalog.store.remove(id).await?;
        }
        *catalog.write() = known;
        if declared.cluster_id.is_empty() {
            let cluster_id = cluster_id.unwrap_or_else(|| catalog.new_id().to_string());
            catalog.append(&[Record::Cluster { id: cluster_id.clone() }]).await?;
            catalog.write().cluster_id = cluster_id;
        }
        catalog.append(&[Record::Started]).await?;
        Ok(catalog)
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        // Every change is complete before anything can panic.
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cluster_id(&self) -> String {
        self.read().cluster_id.clone()
    }

    /// Waits until the store has room for another append.
    pub(crate) async fn room(&self) {
        self.store.room().await;
    }

    /// A topic by its name.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().topics.get(name).cloned()
    }

    /// A topic by its id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        let known = self.read();
        known.topics.get(known.names.get(&id)?).cloned()
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.read().topics.values().cloned().collect()
    }

    /// Makes a topic, or only says whether it could be made.
    pub(crate) async fn create_topic(
        &self,
        new: NewTopic,
        validate_only: bool,
    ) -> Result<Arc<Topic>, Refusal> {
        check_name(&new.name)?;
        check_partitions(new.partitions)?;
        let configs = TopicConfigs::checked(new.configs)?;
        let mut next_offset = self.writing.lock().await;
        let collision = self.read().topics.keys().find(|&name| collide(name, &new.name)).cloned();
        if let Some(other) = collision {
            return Err(exists(&new.name, &other));
        }
        let id = self.new_id();
        if validate_only {
            let partitions = Vec::new();
            return Ok(Arc::new(Topic {
                id,
                name: new.name,
                configs: Arc::new(configs),
                partitions,
            }));
        }
        let record = Record::TopicCreated {
            name: new.name.clone(),
            id: id.to_string(),
            partitions: new.partitions,
            configs: configs.set().clone(),
        };
        self.append_locked(&mut next_offset, &[record])
            .await
            .map_err(|error| Refusal::storage(&error))?;
        let partitions = self.make_partitions(id, &new.name, 0..new.partitions, &configs).await?;
        let topic = Topic { id, name: new.name, configs: Arc::new(configs), partitions };
        Ok(self.write().add(topic))
    }

    /// Deletes a topic and its logs.
    pub(crate) async fn delete_topic(&self, name: &str) -> Result<Arc<Topic>, Refusal> {
        let mut next_offset = self.writing.lock().await;
        let topic = self.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let record = Record::TopicDeleted { id: topic.id.to_string() };
        self.append_locked(&mut next_offset, &[record])
            .await
            .map_err(|error| Refusal::storage(&error))?;
        {
            let mut known = self.write();
            known.topics.remove(name);
            known.names.remove(&topic.id);
        }
        for partition in &topic.partitions {
            partition.close();
            let removed = self.store.remove(partition.log_id()).await;
            removed.map_err(|error| Refusal::storage(&error.into()))?;
        }
        Ok(topic)
    }

    /// Adds partitions to a topic.
    pub(crate) async fn grow_topic(
        &self,
        name: &str,
        count: i32,
        validate_only: bool,
    ) -> Result<(), Refusal> {
        let mut next_offset = self.writing.lock().await;
        let topic = self.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        if count <= present {
            let message = format!(
                "The topic {name} currently has {present} partition(s); {count} would not be an \
                 increase."
            );
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
        }
        check_partitions(count)?;
        if validate_only {
            return Ok(());
        }
        let record = Record::PartitionsAdded { id: topic.id.to_string(), partitions: count };
        self.append_locked(&mut next_offset, &[record])
            .await
            .map_err(|error| Refusal::storage(&error))?;
        let added = self.make_partitions(topic.id, name, present..count, &topic.configs).await?;
        let partitions = topic.partitions.iter().cloned().chain(added).collect();
        self.write().add(Topic { partitions, ..Topic::clone(&topic) });
        Ok(())
    }

    /// Replaces the configs that were set on a topic.
    pub(crate) async fn set_configs(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
        validate_only: bool,
    ) -> Result<(), Refusal> {
        let mut next_offset = self.writing.lock().await;
        let topic = self.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let mut set = topic.configs.set().clone();
        change(&mut set)?;
        let configs = TopicConfigs::checked(set)?;
        if validate_only {
            return Ok(());
        }
        let record =
            Record::ConfigsSet { id: topic.id.to_string(), configs: configs.set().clone() };
        self.append_locked(&mut next_offset, &[record])
            .await
            .map_err(|error| Refusal::storage(&error))?;
        let configs = Arc::new(configs);
        self.write().add(Topic { configs, ..Topic::clone(&topic) });
        Ok(())
    }

    /// A producer id that nobody was given before.
    pub(crate) async fn allocate_producer_id(&self) -> Result<i64, Refusal> {
        let mut next_offset = self.writing.lock().await;
        let (next, end) = self.read().producer_ids;
        if next == end {
            let end = end + PRODUCER_IDS_PER_BLOCK;
            self.append_locked(&mut next_offset, &[Record::ProducerIds { end }])
                .await
                .map_err(|error| Refusal::storage(&error))?;
            self.write().producer_ids = (next + 1, end);
        } else {
            self.write().producer_ids = (next + 1, end);
        }
        Ok(next)
    }

    async fn make_partitions(
        &self,
        id: Uuid,
        name: &str,
        indexes: std::ops::Range<i32>,
        configs: &TopicConfigs,
    ) -> Result<Vec<Arc<Partition>>, Refusal> {
        let mut partitions = Vec::new();
        for index in indexes {
            let made = self.store.create(log_id(id, index), 0).await;
            made.map_err(|error| Refusal::storage(&error.into()))?;
            let options = self.partition_options(id, name, index, configs);
            partitions.push(Arc::new(Partition::empty(options)));
        }
        Ok(partitions)
    }

    fn partition_options(
        &self,
        id: Uuid,
        topic: &str,
        index: i32,
        configs: &TopicConfigs,
    ) -> PartitionOptions {
        PartitionOptions {
            store: self.store.clone(),
            log: log_id(id, index),
            topic: topic.to_owned(),
            leader_epoch: self.leader_epoch,
            segment_rules: configs.segment_rules,
        }
    }

    async fn append(&self, records: &[Record]) -> Result<(), CatalogError> {
        let mut next_offset = self.writing.lock().await;
        self.append_locked(&mut next_offset, records).await
    }

    async fn append_locked(
        &self,
        next_offset: &mut i64,
        records: &[Record],
    ) -> Result<(), CatalogError> {
        let mut writer = BatchWriter::new();
        let now_ms = self.clock.now_ms();
        for record in records {
            writer.push(now_ms, None, Some(&record.to_bytes()), &[]);
        }
        let batch = writer.finish_unsequenced()?;
        let base_offset = *next_offset;
        let mut bytes = batch.to_bytes().to_vec();
        // The base offset is not under the checksum.
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        let count = i64::from(batch.record_count());
        let batch = Batch {
            base_offset,
            next_offset: base_offset + count,
            max_timestamp_ms: now_ms,
            bytes: Bytes::from(bytes),
        };
        self.store.append(CATALOG, batch)?.await?;
        *next_offset = base_offset + count;
        Ok(())
    }

    /// 128 bits that no other topic or cluster has: from the standard library's random keys.
    fn new_id(&self) -> Uuid {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let mut bytes = [0; 16];
        for half in bytes.chunks_exact_mut(8) {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_i64(self.clock.now_ms());
            half.copy_from_slice(&hasher.finish().to_be_bytes());
        }
        // Version 4, variant 1, as Java's `UUID.randomUUID` makes them.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        // Kafka's own tools take an id that begins with a dash for an option.
        bytes[0] &= 0x7f;
        Uuid(bytes)
    }
}

impl Known {
    fn add(&mut self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        self.names.insert(topic.id, topic.name.clone());
        self.topics.insert(topic.name.clone(), Arc::clone(&topic));
        topic
    }
}

fn log_id(topic: Uuid, partition: i32) -> LogId {
    LogId { topic: topic.0, partition }
}
