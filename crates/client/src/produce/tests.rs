//! Produce requests against the generated codec, which knows nothing of this encoder.

use farlog_wire::messages::request_header::RequestHeader;
use farlog_wire::records::{BatchWriter, ProducerStamp};
use farlog_wire::{Message, Reader, Request};
use proptest::prelude::*;

use super::*;

/// A batch with one record of so many bytes.
fn batch(seed: u8, bytes: usize) -> OutgoingBatch {
    let mut writer = BatchWriter::new();
    writer.push(i64::from(seed), None, Some(&vec![seed; bytes]), &[]);
    let stamp = ProducerStamp { producer_id: 7, producer_epoch: 0, base_sequence: i32::from(seed) };
    writer.finish(stamp).unwrap()
}

fn topic(name: &str, id: Option<u8>) -> ProduceTopic {
    ProduceTopic { name: name.into(), id: id.map(|id| Uuid([id; 16])) }
}

fn decode(chunks: &[Bytes], version: i16) -> (RequestHeader, ProduceRequest) {
    let frame: Bytes = chunks.concat().into();
    let size = u32::from_be_bytes(*frame.first_chunk().unwrap());
    assert_eq!(size as usize, frame.len() - 4);
    let mut input = Reader::new(frame.slice(4..));
    let header_version = ProduceRequest::request_header_version(version);
    let header = RequestHeader::decode(&mut input, header_version).unwrap();
    let request = ProduceRequest::decode(&mut input, version).unwrap();
    assert_eq!(input.remaining(), 0);
    (header, request)
}

#[test]
fn a_partition_cannot_be_named_twice() {
    let mut request = ProduceRequestBuilder::new(Duration::from_secs(1));
    request.insert(&topic("a", None), 0, batch(1, 5)).unwrap();
    request.insert(&topic("a", None), 1, batch(2, 5)).unwrap();
    let again = request.insert(&topic("a", None), 0, batch(3, 5)).unwrap_err();
    assert_eq!(again.to_string(), "a-0 is already in this produce request");
    let other_id = request.insert(&topic("a", Some(1)), 2, batch(3, 5)).unwrap_err();
    assert!(matches!(other_id, InsertError::TopicIdDisagrees { .. }));
    request.insert(&topic("b", Some(1)), 0, batch(3, 5)).unwrap();
    let same_id = request.insert(&topic("c", Some(1)), 0, batch(3, 5)).unwrap_err();
    assert!(matches!(same_id, InsertError::TopicIdDisagrees { .. }));
    assert_eq!(request.size_bytes(), 3 * batch(1, 5).size_bytes());
}

#[test]
fn topic_ids_decide_the_version() {
    let range = |min, max| Some(VersionRange { min, max });
    let mut request = ProduceRequestBuilder::new(Duration::from_secs(1));
    request.insert(&topic("a", Some(1)), 0, batch(1, 5)).unwrap();
    assert_eq!(request.version(range(3, 13)).unwrap(), 13);
    assert_eq!(request.version(range(0, 9)).unwrap(), 9);
    request.insert(&topic("b", None), 0, batch(1, 5)).unwrap();
    assert_eq!(request.version(range(3, 13)).unwrap(), 12);
    assert!(request.version(range(13, 14)).is_err());
    assert!(request.version(None).is_err());
}

#[test]
fn payloads_are_not_copied() {
    let outgoing = batch(9, 100_000);
    let address = outgoing.payload().as_ptr();
    let mut request = ProduceRequestBuilder::new(Duration::from_secs(1));
    request.insert(&topic("a", None), 0, outgoing).unwrap();
    let header = Header { version: 11, correlation_id: 1, client_id: "c" };
    let chunks = request.encode(&header).unwrap();
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].as_ptr(), address);
}

proptest! {
    #[test]
    fn the_generated_codec_reads_what_was_meant(
        version in VERSIONS.min..=VERSIONS.max,
        correlation_id: i32,
        client_id in "[a-z]{0,20}",
        batches in prop::collection::btree_map(
            ("[a-c]{1,3}", 0..4_i32),
            (any::<u8>(), 0..1_000_usize),
            0..12,
        ),
    ) {
        let mut request = ProduceRequestBuilder::new(Duration::from_millis(1_234));
        let mut ids = BTreeMap::new();
        for ((name, partition), (seed, bytes)) in &batches {
            let next = u8::try_from(ids.len()).unwrap() + 1;
            let id = *ids.entry(name.clone()).or_insert(next);
            request.insert(&topic(name, Some(id)), *partition, batch(*seed, *bytes)).unwrap();
        }
        let header = Header { version, correlation_id, client_id: &client_id };
        let chunks = request.encode(&header).unwrap();
        prop_assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        let (header, decoded) = decode(&chunks, version);
        prop_assert_eq!(header.correlation_id, correlation_id);
        prop_assert_eq!(header.client_id.as_deref(), Some(&*client_id));
        prop_assert_eq!((decoded.acks, decoded.timeout_ms), (-1, 1_234));
        prop_assert_eq!(decoded.transactional_id, None);
        let mut found = BTreeMap::new();
        for data in decoded.topic_data {
            let by_id = ids.iter().find(|(_, id)| Uuid([**id; 16]) == data.topic_id);
            let name = by_id.map_or(data.name, |(name, _)| name.clone());
            for partition in data.partition_data {
                let key = (name.clone(), partition.index);
                prop_assert!(found.insert(key, partition.records.unwrap()).is_none());
            }
        }
        let meant = batches
            .into_iter()
            .map(|(key, (seed, bytes))| (key, batch(seed, bytes).to_bytes()))
            .collect();
        prop_assert_eq!(found, meant);
    }
}
