//! The Produce request, written by hand: framing and batch headers into one small buffer, payloads
//! as the slices they are, so that no record is copied on its way to the socket.
//!
//! A broker that finds a partition twice in one request silently drops the first entry and answers
//! success, and takes only one batch for each. [`ProduceRequestBuilder`] is a map from partition
//! to batch, so neither can be said.
//!
//! Source: `ProduceRequest.json`, versions 3 to 13; flexible from 9, topic ids (KIP-516) from 13.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use farlog_wire::limits::FRAME_BYTES_MAX;
use farlog_wire::messages::produce_request::ProduceRequest;
use farlog_wire::records::OutgoingBatch;
use farlog_wire::{ApiKey, EncodeError, Uuid, VersionRange, Writer};

use crate::connection::{Connection, PendingResponse};
use crate::error::{SendError, UnsupportedVersion};

/// The versions that this file writes.
const VERSIONS: VersionRange = VersionRange { min: 3, max: 13 };
const FLEXIBLE_FROM: i16 = 9;
const TOPIC_IDS_FROM: i16 = 13;

/// Bytes before the frame's own length counts.
const SIZE_BYTES: usize = 4;

/// Room for the framing of a few partitions.
const FRAMING_BYTES_EXPECTED: usize = 512;

/// All in-sync replicas: the only durability that replication can be built on.
const ACKS_ALL: i16 = -1;

/// A topic to produce to: its name, and its id where the request may name it by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceTopic {
    /// Name; used up to version 12.
    pub name: Arc<str>,
    /// Id; used from version 13. Without it older versions are used.
    pub id: Option<Uuid>,
}

/// One produce request under construction: at most one batch for each partition.
#[derive(Clone, Debug)]
pub struct ProduceRequestBuilder {
    acknowledge_timeout: Duration,
    topics: BTreeMap<Arc<str>, Topic>,
    size_bytes: usize,
}

#[derive(Clone, Debug)]
struct Topic {
    id: Option<Uuid>,
    partitions: BTreeMap<i32, OutgoingBatch>,
}

/// A batch that a request cannot carry beside what it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The broker would drop one of the two without a word.
    #[error("{topic}-{partition} is already in this produce request")]
    AlreadyNamed {
        /// Topic.
        topic: Arc<str>,
        /// Partition.
        partition: i32,
    },
    /// One topic under two ids, or one id under two topics.
    #[error("topic {topic} is in this produce request under another topic id")]
    TopicIdDisagrees {
        /// Topic.
        topic: Arc<str>,
    },
}

/// A frame under construction: everything but the payloads in one buffer, and where each payload
/// belongs in it.
struct Frame {
    flexible: bool,
    writer: Writer,
    payloads: Vec<(usize, Bytes)>,
    payload_bytes: usize,
}

/// The parts of a request's header.
struct Header<'a> {
    version: i16,
    correlation_id: i32,
    client_id: &'a str,
}

// === impl ProduceRequestBuilder ===

impl ProduceRequestBuilder {
    /// An empty request. `acknowledge_timeout` is how long the broker may wait for its replicas;
    /// it should be shorter than the connection's request timeout.
    pub fn new(acknowledge_timeout: Duration) -> ProduceRequestBuilder {
        ProduceRequestBuilder { acknowledge_timeout, topics: BTreeMap::new(), size_bytes: 0 }
    }

    /// Adds the one batch of a partition.
    pub fn insert(
        &mut self,
        topic: &ProduceTopic,
        partition: i32,
        batch: OutgoingBatch,
    ) -> Result<(), InsertError> {
        let disagrees = || InsertError::TopicIdDisagrees { topic: topic.name.clone() };
        let same_id = |other: &Topic| topic.id.is_some() && other.id == topic.id;
        if !self.topics.contains_key(&topic.name) && self.topics.values().any(same_id) {
            return Err(disagrees());
        }
        let empty = || Topic { id: topic.id, partitions: BTreeMap::new() };
        let entry = self.topics.entry(topic.name.clone()).or_insert_with(empty);
        if entry.id != topic.id {
            return Err(disagrees());
        }
        match entry.partitions.entry(partition) {
            Entry::Occupied(_) => {
                Err(InsertError::AlreadyNamed { topic: topic.name.clone(), partition })
            }
            Entry::Vacant(slot) => {
                self.size_bytes += batch.size_bytes();
                slot.insert(batch);
                Ok(())
            }
        }
    }

    /// Whether it names no partition.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Bytes of the batches in it.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The highest version that the broker speaks and that can name every topic.
    fn version(&self, theirs: Option<VersionRange>) -> Result<i16, UnsupportedVersion> {
        let mut ours = VERSIONS;
        if self.topics.values().any(|topic| topic.id.is_none()) {
            ours.max = TOPIC_IDS_FROM - 1;
        }
        let both = theirs.and_then(|theirs| theirs.intersect(ours));
        both.map(|both| both.max).ok_or(UnsupportedVersion { api: ApiKey::Produce, ours, theirs })
    }

    fn encode(self, header: &Header<'_>) -> Result<Vec<Bytes>, EncodeError> {
        let mut frame = Frame::new(header.version >= FLEXIBLE_FROM);
        frame.header(header)?;
        frame.writer.nullable_string("transactional_id", None, frame.flexible, true)?;
        frame.writer.i16(ACKS_ALL);
        let timeout_ms = self.acknowledge_timeout.as_millis();
        frame.writer.i32(i32::try_from(timeout_ms).unwrap_or(i32::MAX));
        frame.array_length(self.topics.len());
        for (name, topic) in self.topics {
            match topic.id.filter(|_| header.version >= TOPIC_IDS_FROM) {
                Some(id) => frame.writer.uuid(id),
                None => frame.writer.string("name", &name, frame.flexible)?,
            }
            frame.array_length(topic.partitions.len());
            for (index, batch) in topic.partitions {
                frame.writer.i32(index);
                frame.batch(&batch)?;
                frame.no_tagged_fields();
            }
            frame.no_tagged_fields();
        }
        frame.no_tagged_fields();
        frame.finish()
    }
}

// === impl Connection ===

impl Connection {
    /// Queues a produce request with acks from all in-sync replicas; the payloads of its batches
    /// go to the socket as they are.
    pub fn produce(&self, request: ProduceRequestBuilder) -> PendingResponse<ProduceRequest> {
        let broker = || self.broker().clone();
        let api = ApiKey::Produce;
        let version = match request.version(self.broker_versions(api)) {
            Ok(version) => version,
            Err(source) => {
                return self.failed(SendError::Unsupported { broker: broker(), source }, 0);
            }
        };
        let correlation_id = self.next_correlation_id();
        let header = Header { version, correlation_id, client_id: self.client_id() };
        match request.encode(&header) {
            Ok(chunks) => self.send_chunks(correlation_id, chunks, version),
            Err(source) => {
                self.failed(SendError::Encode { broker: broker(), api, version, source }, version)
            }
        }
    }
}

// === impl Frame ===

impl Frame {
    fn new(flexible: bool) -> Frame {
        Frame {
            flexible,
            writer: Writer::with_capacity(FRAMING_BYTES_EXPECTED),
            payloads: Vec::new(),
            payload_bytes: 0,
        }
    }

    fn header(&mut self, header: &Header<'_>) -> Result<(), EncodeError> {
        // The size of the frame; known at the end.
        self.writer.i32(0);
        self.writer.i16(ApiKey::Produce.into());
        self.writer.i16(header.version);
        self.writer.i32(header.correlation_id);
        // The client id keeps its old format in flexible versions too (KIP-482).
        self.writer.string("client_id", header.client_id, false)?;
        self.no_tagged_fields();
        Ok(())
    }

    fn array_length(&mut self, length: usize) {
        // Lengths of maps in memory are far below 2^31.
        if self.flexible {
            self.writer.unsigned_varint(length as u32 + 1);
        } else {
            self.writer.i32(length as i32);
        }
    }

    fn batch(&mut self, batch: &OutgoingBatch) -> Result<(), EncodeError> {
        let bytes = batch.size_bytes();
        let too_long =
            EncodeError::TooLong { field: "records", length: bytes, length_max: FRAME_BYTES_MAX };
        let length = i32::try_from(bytes).map_err(|_| too_long)?;
        if self.flexible {
            self.writer.unsigned_varint(length as u32 + 1);
        } else {
            self.writer.i32(length);
        }
        self.writer.raw(batch.front());
        // A vectored write of nothing but empty slices would look like a closed socket.
        if !batch.payload().is_empty() {
            self.payload_bytes += batch.payload().len();
            self.payloads.push((self.writer.len(), batch.payload().clone()));
        }
        Ok(())
    }

    fn no_tagged_fields(&mut self) {
        if self.flexible {
            self.writer.unsigned_varint(0);
        }
    }

    /// Cuts the framing where the payloads belong.
    fn finish(self) -> Result<Vec<Bytes>, EncodeError> {
        let mut framing = self.writer.into_bytes();
        let length = framing.len() - SIZE_BYTES + self.payload_bytes;
        if length > FRAME_BYTES_MAX {
            let (field, length_max) = ("produce request", FRAME_BYTES_MAX);
            return Err(EncodeError::TooLong { field, length, length_max });
        }
        framing[..SIZE_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
        let framing = framing.freeze();
        let mut chunks = Vec::with_capacity(2 * self.payloads.len() + 1);
        let mut from = 0;
        for (at, payload) in self.payloads {
            if at > from {
                chunks.push(framing.slice(from..at));
                from = at;
            }
            chunks.push(payload);
        }
        if from < framing.len() {
            chunks.push(framing.slice(from..));
        }
        Ok(chunks)
    }
}

#[cfg(test)]
mod tests;
