//! Reading a catalog's log at start.

use std::collections::BTreeMap;

use farlog_store::Store;
use farlog_wire::Uuid;
use farlog_wire::records::{RawBatch, batches};

use super::security::SecurityState;
use super::{CATALOG, CatalogError, Record};
use crate::limits::SCAN_BYTES;

/// What the log says, before any partition is looked at.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) cluster_id: String,
    pub(super) topics: BTreeMap<String, DeclaredTopic>,
    pub(super) producer_ids_end: i64,
    pub(super) starts: i32,
    pub(super) security: SecurityState,
}

#[derive(Debug)]
pub(super) struct DeclaredTopic {
    pub(super) id: Uuid,
    pub(super) partitions: i32,
    pub(super) configs: BTreeMap<String, String>,
}

impl Declared {
    fn take(&mut self, record: Record) -> Result<(), String> {
        let id_of = |id: &str| id.parse::<Uuid>().map_err(|error| error.to_string());
        let Some(record) = self.security.take(record) else { return Ok(()) };
        match record {
            Record::Cluster { id } => self.cluster_id = id,
            Record::Started => self.starts += 1,
            Record::ProducerIds { end } => self.producer_ids_end = end,
            Record::TopicCreated { name, id, partitions, configs } => {
                let topic = DeclaredTopic { id: id_of(&id)?, partitions, configs };
                self.topics.insert(name, topic);
            }
            Record::TopicDeleted { id } => {
                let id = id_of(&id)?;
                self.topics.retain(|_, topic| topic.id != id);
            }
            Record::PartitionsAdded { id, partitions } => {
                self.topic(id_of(&id)?)?.partitions = partitions;
            }
            Record::ConfigsSet { id, configs } => self.topic(id_of(&id)?)?.configs = configs,
            // Taken above.
            Record::AclsAdded { .. }
            | Record::AclsRemoved { .. }
            | Record::QuotasSet { .. }
            | Record::ScramSet { .. }
            | Record::ScramRemoved { .. } => {}
        }
        Ok(())
    }

    fn topic(&mut self, id: Uuid) -> Result<&mut DeclaredTopic, String> {
        let topic = self.topics.values_mut().find(|topic| topic.id == id);
        topic.ok_or_else(|| format!("topic {id} was never created"))
    }
}

/// Everything that the log says, and where it ends.
pub(super) async fn read(store: &Store) -> Result<(Declared, i64), CatalogError> {
    let mut declared = Declared::default();
    let mut next_offset = 0;
    loop {
        let bytes = store.read(CATALOG, next_offset, SCAN_BYTES, true).await?;
        if bytes.is_empty() {
            return Ok((declared, next_offset));
        }
        for batch in batches(bytes) {
            let batch: RawBatch = batch?;
            batch.verify_crc()?;
            for record in batch.records()? {
                let record = record?;
                let offset = record.offset;
                let fault = |why: String| CatalogError::Record { offset, why };
                let value = record.value.unwrap_or_default();
                let change = Record::from_bytes(value).map_err(fault)?;
                declared.take(change).map_err(fault)?;
            }
            next_offset = batch.header.next_offset();
        }
    }
}
