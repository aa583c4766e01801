//! Entries survive being written and read, and nothing else is taken for one.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::extent::{Checkpoint, SegmentFacts};
use crate::segment::manifest::{Manifest, ManifestLog};
use crate::segment::section::{ObjectName, Section, decode_index, walk};
use crate::wal::marks::Mark;

fn id() -> impl Strategy<Value = LogId> {
    (any::<[u8; 16]>(), any::<i32>()).prop_map(|(topic, partition)| LogId { topic, partition })
}

fn facts() -> impl Strategy<Value = BatchFacts> {
    (0..i64::MAX / 2, 1..i64::MAX / 2, any::<i64>()).prop_map(|(base_offset, count, time)| {
        BatchFacts { base_offset, next_offset: base_offset + count, max_timestamp_ms: time }
    })
}

fn written(entry: &Entry<'_>, place: Place, salt: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.encode(place, salt, &mut bytes);
    bytes.extend_from_slice(entry.payload());
    bytes
}

/// One of each kind.
fn entries(id: LogId, facts: BatchFacts, payload: &[u8]) -> Vec<Entry<'_>> {
    let (start_offset, at_offset, end_offset) = (facts.base_offset, 5, facts.next_offset);
    let head = Head { file: 7, marks: 3, incarnation_next: 9 };
    vec![
        Entry::Head(head),
        Entry::Mark { id, incarnation: 4, start_offset, end_offset },
        Entry::Create { id, incarnation: 4, start_offset },
        Entry::Append { id, facts, bytes: payload },
        Entry::Trim { id, start_offset },
        Entry::Remove { id },
        Entry::Checkpoint { id, at_offset, state: payload },
        Entry::Close,
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        id in id(),
        facts in facts(),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        (sequence, in_group, salt) in any::<(u64, u32, u32)>(),
        flipped in any::<proptest::sample::Index>(),
    ) {
        let place = Place { sequence, in_group };
        for entry in entries(id, facts, &payload) {
            let mut bytes = written(&entry, place, salt);
            let found = decode(&bytes, salt).unwrap();
            prop_assert_eq!(&found, &Decoded { place, entry, bytes: bytes.len() });
            for cut in 0..bytes.len() {
                let truncated = matches!(
                    decode(&bytes[..cut], salt),
                    Err(EntryError::Truncated { found, .. }) if found == cut
                );
                prop_assert!(truncated);
            }
            prop_assert_eq!(decode(&bytes, salt ^ 1), Err(EntryError::Checksum));
            let at = flipped.index(bytes.len());
            bytes[at] ^= 0x10;
            prop_assert!(decode(&bytes, salt).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes, 0).is_err());
        prop_assert!(Manifest::decode(&bytes).is_none());
        let _ = (decode_index(&bytes), walk(&bytes));
    }

    /// With a checksum that matches, so that the fields themselves are read.
    #[test]
    fn any_fields_are_read_without_harm(
        fields in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0_u8..10,
    ) {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&(fields.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.push(kind);
        bytes.extend_from_slice(&fields);
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_be_bytes());
        let _ = decode(&bytes, 0);
        let mut manifest = b"farlogmf\0\0\0\x01".to_vec();
        manifest.extend_from_slice(&fields);
        manifest.extend_from_slice(&crc32c::crc32c(&manifest).to_be_bytes());
        let _ = Manifest::decode(&manifest);
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written(
        ids in proptest::collection::btree_set(id(), 0..5),
        numbers in any::<[u64; 7]>(),
        state in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let [number, epoch, author, log_from, sequence, chunk_from, incarnation_next] = numbers;
        let facts = SegmentFacts {
            base_offset: 3,
            next_offset: 8,
            max_timestamp_ms: -1,
            size_bytes: 70,
        };
        let object = ObjectName { epoch, number };
        let section = Section { object, position: 12, index_bytes: 20, facts };
        let logs = ids.into_iter().enumerate().map(|(index, id)| {
            let mark = Mark { incarnation: index as u64, start_offset: 3, end_offset: 8 };
            let state = Bytes::from(state.clone());
            let checkpoint = (index > 0).then_some(Checkpoint { at_offset: 8, state });
            (id, ManifestLog { mark, sections: vec![section; index], checkpoint })
        });
        let logs = logs.collect();
        let written = Manifest {
            number,
            epoch,
            author,
            log_from,
            sequence,
            chunk_from,
            incarnation_next,
            logs,
        };
        prop_assert_eq!(Manifest::decode(&written.encode()), Some(written));
    }
}

/// The format is on disks: a change of it is a new version.
#[test]
fn the_format_stays_what_it_is() {
    let id = LogId { topic: [1; 16], partition: 2 };
    let facts = BatchFacts { base_offset: 3, next_offset: 4, max_timestamp_ms: 5 };
    let crcs: Vec<u32> = entries(id, facts, b"payload")
        .iter()
        .map(|entry| crc32c::crc32c(&written(entry, Place { sequence: 6, in_group: 0 }, 7)))
        .collect();
    assert_eq!(crcs, GOLDEN);
}

const GOLDEN: [u32; 8] = [
    2907386723, 2716579692, 2278959716, 1203295243, 2497904543, 2318912730, 1968906527, 2200055919,
];
