//! The records as they were first written.

use super::*;
use crate::offsets::Block;

fn mirror() -> MirrorId {
    MirrorId {
        link: "east-west".to_owned(),
        source_topic_id: Uuid([1; 16]),
        target_topic_id: Uuid([2; 16]),
        partition: 3,
    }
}

fn entry() -> Entry {
    let runs = vec![Run::from((10, 4)), Run::from((20, 1))];
    Entry { turn: 3, source_leader_epoch: 2, crc: 7, runs }
}

/// One record, four times a gap of one and one record, then two runs.
fn sealed() -> Sealed {
    let packed: Vec<u8> = vec![4, 0, 1, 17, 2, 1, 8, 4, 4, 14, 2];
    let block = Block::unpack(1000..1024, 100..111, packed).unwrap();
    Sealed { turn: 3, until: 111, epochs: vec![(100, 2), (104, 5)], block }
}

#[test]
fn golden_records_of_version_1() {
    let fact = Fact { target_offset: 5, source_offset: 9, source_leader_epoch: 2, turn: 3 };
    let claim = Claim { generation: 12, nonce: 0xab };
    let id = "east-west|AQEBAQEBAQEBAQEBAQEBAQ|AgICAgICAgICAgICAgICAg|3";
    let golden = [
        (
            StateKey::Start(mirror()),
            StateValue::Fact(fact),
            format!("start|{id}"),
            r#"{"v":1,"target_offset":5,"source_offset":9,"epoch":2,"turn":3}"#,
        ),
        (
            StateKey::Anchor(mirror()),
            StateValue::Fact(fact),
            format!("anchor|{id}"),
            r#"{"v":1,"target_offset":5,"source_offset":9,"epoch":2,"turn":3}"#,
        ),
        (
            StateKey::Turn { mirror: mirror(), turn: 3, claim },
            StateValue::Fact(fact),
            format!("turn|{id}|3|12|000000ab"),
            r#"{"v":1,"target_offset":5,"source_offset":9,"epoch":2,"turn":3}"#,
        ),
        (
            StateKey::Entry { mirror: mirror(), target_offset: 6, claim },
            StateValue::Entry(entry()),
            format!("entry|{id}|6|12|000000ab"),
            r#"{"v":1,"epoch":2,"crc":7,"runs":[[10,4],[20,1]],"turn":3}"#,
        ),
        (
            StateKey::Block { mirror: mirror(), target_offset: 100, turn: 3, claim },
            StateValue::Sealed(Arc::new(sealed())),
            format!("block|{id}|100|3|12|000000ab"),
            concat!(
                r#"{"v":1,"turn":3,"until":111,"source":[1000,1024],"target":[100,111],"#,
                r#""epochs":[[100,2],[104,5]],"packed":"BAABEQIBCAQEDgI"}"#,
            ),
        ),
        (
            StateKey::ProducerId { link: "east-west".to_owned() },
            StateValue::ProducerId(4000),
            "producer-id|east-west".to_owned(),
            r#"{"v":1,"producer_id":4000}"#,
        ),
        (
            StateKey::Began { link: "east-west".to_owned(), claim },
            StateValue::Began(1_800_000_000_000),
            "began|east-west|12|000000ab".to_owned(),
            r#"{"v":1,"at_ms":1800000000000}"#,
        ),
        (
            StateKey::Lost { mirror: mirror(), source_offset: 30 },
            StateValue::Lost(44),
            format!("lost|{id}|30"),
            r#"{"v":1,"until":44}"#,
        ),
    ];
    for (key, value, key_text, value_text) in golden {
        assert_eq!(key.to_string(), key_text);
        assert_eq!(StateKey::parse(&key_text).unwrap(), key);
        assert_eq!(String::from_utf8(value.to_bytes()).unwrap(), value_text);
        assert_eq!(key.parse_value(value_text.as_bytes()).unwrap(), value);
    }
}

#[test]
fn records_from_before_there_were_turns_are_read() {
    let value = StateKey::Anchor(mirror())
        .parse_value(br#"{"v":1,"target_offset":5,"source_offset":9,"epoch":2}"#)
        .unwrap();
    let fact = Fact { target_offset: 5, source_offset: 9, source_leader_epoch: 2, turn: 0 };
    assert_eq!(value, StateValue::Fact(fact));
}

#[test]
fn unknown_records_are_named() {
    let error = StateKey::parse("block|x").unwrap_err();
    assert!(error.to_string().contains("block|x"), "{error}");
    let key = StateKey::ProducerId { link: "l".to_owned() };
    let error = key.parse_value(br#"{"v":2,"producer_id":1}"#).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    let error = key.parse_value(b"{").unwrap_err();
    assert!(error.to_string().contains("producer-id|l"), "{error}");
}

#[test]
fn a_block_that_does_not_hold_together_is_named() {
    let claim = Claim { generation: 12, nonce: 0xab };
    let key = StateKey::Block { mirror: mirror(), target_offset: 100, turn: 3, claim };
    let value = |target_end: i64, packed: &str| {
        format!(
            r#"{{"v":1,"turn":3,"until":111,"source":[1000,1024],"target":[100,{target_end}],
            "epochs":[],"packed":"{packed}"}}"#
        )
    };
    assert!(key.parse_value(value(111, "BAABEQIBCAQEDgI").as_bytes()).is_ok());
    let bad = [(112, "BAABEQIBCAQEDgI"), (110, "BAABEQIBCAQEDgI"), (111, "BAABEQ"), (111, "?")];
    for (target_end, packed) in bad {
        let error = key.parse_value(value(target_end, packed).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("block|east-west"), "{error}");
    }
}
