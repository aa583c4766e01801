//! Against bytes that Kafka 4.3.1's own classes made.

use super::*;
use farlog_wire::Uuid;

fn hex(text: &str) -> Bytes {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digits).collect()
}

const TOPIC: Uuid = Uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const TIME_MS: i64 = 1_700_000_000_000;

#[test]
fn keys_are_kafkas() {
    let (group, member) = (|| "group".to_owned(), || "m-1".to_owned());
    let keys = [
        (
            "0001000567726f75700005746f70696300000009",
            Key::Offset(OffsetKey { group: group(), topic: "topic".to_owned(), partition: 9 }),
        ),
        ("0002000567726f7570", Key::Classic { group: group() }),
        ("0003000567726f7570", Key::Consumer { group: group() }),
        ("0005000567726f757000036d2d31", Key::Member { group: group(), member: member() }),
        ("0006000567726f7570", Key::TargetEpoch { group: group() }),
        ("0007000567726f757000036d2d31", Key::TargetMember { group: group(), member: member() }),
        ("0008000567726f757000036d2d31", Key::CurrentMember { group: group(), member: member() }),
    ];
    for (bytes, key) in keys {
        assert_eq!(key.to_bytes().unwrap(), hex(bytes));
        assert_eq!(Key::from_bytes(hex(bytes)), Ok(key));
    }
    assert_eq!(Key::from_bytes(hex("000b0001")), Ok(Key::Other(11)));
}

#[test]
fn offsets_are_kafkas() {
    let value = OffsetValue {
        offset: 42,
        leader_epoch: 3,
        metadata: "where".to_owned(),
        commit_timestamp_ms: TIME_MS,
        expire_timestamp_ms: -1,
        topic_id: TOPIC,
    };
    let newest = hex(concat!(
        "0004000000000000002a000000030677686572650000018bcfe56800",
        "0100100102030405060708090a0b0c0d0e0f10"
    ));
    assert_eq!(value.to_bytes().unwrap(), newest);
    assert_eq!(OffsetValue::from_bytes(newest), Ok(value.clone()));
    let bare = OffsetValue {
        leader_epoch: -1,
        metadata: String::new(),
        topic_id: Uuid::default(),
        ..value.clone()
    };
    let bytes = hex("0004000000000000002affffffff010000018bcfe5680000");
    assert_eq!(bare.to_bytes().unwrap(), bytes);
    assert_eq!(OffsetValue::from_bytes(bytes), Ok(bare));
    let third = hex("0003000000000000002a00000003000577686572650000018bcfe56800");
    let no_id = OffsetValue { topic_id: Uuid::default(), ..value };
    assert_eq!(OffsetValue::from_bytes(third), Ok(no_id.clone()));
    let first = hex("0001000000000000002a000577686572650000018bcfe568000000018bcfe56801");
    let expiring = OffsetValue { leader_epoch: -1, expire_timestamp_ms: TIME_MS + 1, ..no_id };
    assert_eq!(expiring.to_bytes().unwrap(), first);
    assert_eq!(OffsetValue::from_bytes(first), Ok(expiring));
    let later = RecordError::Version { what: "OffsetCommitValue", version: 5 };
    assert_eq!(OffsetValue::from_bytes(hex("0005")), Err(later));
}

#[test]
fn classic_groups_are_kafkas() {
    let value = ClassicValue {
        protocol_type: "consumer".to_owned(),
        generation: 7,
        protocol: Some("range".to_owned()),
        leader: Some("m-1".to_owned()),
        state_timestamp_ms: TIME_MS,
        members: vec![ClassicMemberValue {
            member_id: "m-1".to_owned(),
            instance_id: Some("i".to_owned()),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 45_000,
            subscription: Bytes::from_static(&[1, 2]),
            assignment: Bytes::from_static(&[3]),
        }],
    };
    let bytes = hex(concat!(
        "00030008636f6e73756d657200000007000572616e676500036d2d310000018bcfe568000000000100036d",
        "2d31000169000163000a2f3132372e302e302e310000ea600000afc80000000201020000000103"
    ));
    assert_eq!(value.to_bytes().unwrap(), bytes);
    assert_eq!(ClassicValue::from_bytes(bytes), Ok(value.clone()));
    let empty =
        ClassicValue { generation: 8, protocol: None, leader: None, members: Vec::new(), ..value };
    let bytes = hex("00030008636f6e73756d657200000008ffffffff0000018bcfe5680000000000");
    assert_eq!(empty.to_bytes().unwrap(), bytes);
    assert_eq!(ClassicValue::from_bytes(bytes), Ok(empty));
}

#[test]
fn consumer_groups_are_kafkas() {
    for (bytes, metadata_hash) in
        [("0000000000050100081122334455667788", 0x1122_3344_5566_7788), ("00000000000500", 0)]
    {
        let value = ConsumerGroupValue { epoch: 5, metadata_hash };
        assert_eq!(value.to_bytes().unwrap(), hex(bytes));
        assert_eq!(ConsumerGroupValue::from_bytes(hex(bytes)), Ok(value));
    }
    for (bytes, assignment_timestamp_ms) in
        [("0000000000050100080000018bcfe56800", TIME_MS), ("00000000000500", 0)]
    {
        let value = TargetEpochValue { assignment_epoch: 5, assignment_timestamp_ms };
        assert_eq!(value.to_bytes().unwrap(), hex(bytes));
        assert_eq!(TargetEpochValue::from_bytes(hex(bytes)), Ok(value));
    }
    let value = MemberMetadataValue {
        instance_id: None,
        rack_id: Some("r".to_owned()),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        subscribed_topic_names: vec!["t".to_owned()],
        subscribed_topic_regex: None,
        rebalance_timeout_ms: 60_000,
        server_assignor: Some("uniform".to_owned()),
    };
    let bytes = hex("000000027202630b2f3132372e302e302e31020274000000ea6008756e69666f726d00");
    assert_eq!(value.to_bytes().unwrap(), bytes);
    assert_eq!(MemberMetadataValue::from_bytes(bytes), Ok(value));
    let of = |partitions: &[i32]| {
        vec![TopicPartitions { topic_id: TOPIC, partitions: partitions.to_vec() }]
    };
    let value = TargetMemberValue { topic_partitions: of(&[0, 2]) };
    let bytes = hex("0000020102030405060708090a0b0c0d0e0f100300000000000000020000");
    assert_eq!(value.to_bytes().unwrap(), bytes);
    assert_eq!(TargetMemberValue::from_bytes(bytes), Ok(value));
    let value = CurrentAssignmentValue {
        member_epoch: 5,
        previous_member_epoch: 4,
        state: 1,
        assigned: of(&[0]),
        pending_revocation: of(&[2]),
    };
    let bytes = hex(concat!(
        "0000000000050000000401020102030405060708090a0b0c0d0e0f10020000000000",
        "020102030405060708090a0b0c0d0e0f1002000000020000"
    ));
    assert_eq!(value.to_bytes().unwrap(), bytes);
    assert_eq!(CurrentAssignmentValue::from_bytes(bytes), Ok(value));
    let key = Key::Pattern { group: "g".to_owned(), pattern: "t.*".to_owned() };
    let bytes = hex("00100001670003742e2a");
    assert_eq!(key.to_bytes().unwrap(), bytes);
    assert_eq!(Key::from_bytes(bytes), Ok(key));
    let topics = vec!["t1".to_owned(), "t2".to_owned()];
    let value = PatternValue { topics, version: 7, timestamp_ms: TIME_MS };
    let bytes = hex("00000303743103743200000000000000070000018bcfe5680000");
    assert_eq!(value.to_bytes().unwrap(), bytes);
    assert_eq!(PatternValue::from_bytes(bytes), Ok(value));
}
