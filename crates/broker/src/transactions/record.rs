//! The records of `__transaction_state`, to the byte as Kafka writes them.
//!
//! Source: `TransactionLogKey` version 0, `TransactionLogValue` versions 0 and 1 of Kafka 4.3; both
//! versions are read, version 1 is written, as Kafka does since `transaction.version` 1.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use farlog_wire::primitives::TaggedFields;
use farlog_wire::{DecodeError, EncodeError, Reader, Writer};

use super::state::{Status, Transaction};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 1;

/// A record of the transaction log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{what} is of version {version}, which is not known")]
    Version { what: &'static str, version: i16 },
    #[error("the status {0} is not one that is written")]
    Status(i8),
}

/// The key of a transactional id.
pub(crate) fn key_bytes(id: &str) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(KEY_VERSION);
    writer.string("transactional_id", id, false)?;
    Ok(writer.into_bytes().freeze())
}

/// The transactional id of a key.
pub(crate) fn key_of(bytes: Bytes) -> Result<String, RecordError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16("version")?;
    if version != KEY_VERSION {
        return Err(RecordError::Version { what: "a transaction's key", version });
    }
    let id = reader.string("transactional_id", false)?;
    reader.finish("TransactionLogKey")?;
    Ok(id)
}

/// The value of a transactional id.
pub(crate) fn value_bytes(transaction: &Transaction) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(VALUE_VERSION);
    writer.i64(transaction.producer_id);
    writer.i16(transaction.epoch);
    writer.i32(transaction.timeout_ms);
    writer.i8(transaction.status.code());
    let topics: Vec<(&String, &BTreeSet<i32>)> = transaction.partitions.iter().collect();
    // An empty transaction has no partitions, not none of them.
    let topics = (transaction.status != Status::Empty).then_some(topics);
    let field = "transaction_partitions";
    writer.nullable_array(field, topics.as_deref(), true, true, |writer, (topic, indexes)| {
        writer.string("topic", topic, true)?;
        let indexes: Vec<i32> = indexes.iter().copied().collect();
        writer.array("partition_ids", &indexes, true, |writer, &index| {
            writer.i32(index);
            Ok(())
        })?;
        writer.tagged_fields(&TaggedFields::new());
        Ok(())
    })?;
    writer.i64(transaction.updated_ms);
    writer.i64(transaction.started_ms);
    let mut tagged = TaggedFields::new();
    let ids = [transaction.previous_producer_id, transaction.next_producer_id];
    for (tag, id) in (0..).zip(ids).filter(|&(_, id)| id != -1) {
        tagged.field(tag, |writer| {
            writer.i64(id);
            Ok(())
        })?;
    }
    if transaction.client_version != 0 {
        tagged.field(2, |writer| {
            writer.i16(transaction.client_version);
            Ok(())
        })?;
    }
    writer.tagged_fields(&tagged);
    Ok(writer.into_bytes().freeze())
}

/// The transaction of a value.
pub(crate) fn value_of(bytes: Bytes) -> Result<Transaction, RecordError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16("version")?;
    if !(0..=VALUE_VERSION).contains(&version) {
        return Err(RecordError::Version { what: "a transaction's value", version });
    }
    let flexible = version >= 1;
    let producer_id = reader.i64("producer_id")?;
    let epoch = reader.i16("producer_epoch")?;
    let timeout_ms = reader.i32("transaction_timeout_ms")?;
    let code = reader.i8("transaction_status")?;
    let status = Status::of_code(code).ok_or(RecordError::Status(code))?;
    let partitions = partitions_of(&mut reader, flexible)?;
    let updated_ms = reader.i64("transaction_last_update_timestamp_ms")?;
    let started_ms = reader.i64("transaction_start_timestamp_ms")?;
    let mut read = Transaction {
        producer_id,
        previous_producer_id: -1,
        next_producer_id: -1,
        epoch,
        last_epoch: -1,
        timeout_ms,
        status,
        partitions,
        started_ms,
        updated_ms,
        client_version: 0,
    };
    if flexible {
        reader.tagged_fields("tagged fields", |tag, reader| {
            match tag {
                0 => read.previous_producer_id = reader.i64("previous_producer_id")?,
                1 => read.next_producer_id = reader.i64("next_producer_id")?,
                2 => read.client_version = reader.i16("client_transaction_version")?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
    }
    reader.finish("TransactionLogValue")?;
    Ok(read)
}

fn partitions_of(
    reader: &mut Reader,
    flexible: bool,
) -> Result<BTreeMap<String, BTreeSet<i32>>, DecodeError> {
    let topic_bytes_min = if flexible { 3 } else { 6 };
    let topics = reader.nullable_array(
        "transaction_partitions",
        flexible,
        true,
        topic_bytes_min,
        |reader| {
            let topic = reader.string("topic", flexible)?;
            let index = |reader: &mut Reader| reader.i32("partition_id");
            let indexes = reader.array("partition_ids", flexible, 4, index)?;
            if flexible {
                reader.tagged_fields("tagged fields", |_, _| Ok(false))?;
            }
            Ok((topic, indexes.into_iter().collect()))
        },
    )?;
    Ok(topics.unwrap_or_default().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Bytes {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    fn transaction() -> Transaction {
        let orders = ("orders".to_owned(), BTreeSet::from([0, 2]));
        Transaction {
            producer_id: 4_001,
            previous_producer_id: -1,
            next_producer_id: -1,
            epoch: 7,
            last_epoch: -1,
            timeout_ms: 60_000,
            status: Status::Ongoing,
            partitions: BTreeMap::from([orders, ("x".to_owned(), BTreeSet::from([1]))]),
            started_ms: 1_700_000_000_100,
            updated_ms: 1_700_000_000_123,
            client_version: 0,
        }
    }

    /// Bytes of Kafka 4.3.1's own serializer.
    const KEY: &str = "0000000970726f647563652d74";
    const PLAIN_0: &str = "00000000000000000fa100070000ea60010000000200066f726465727300\
        000002000000000000000200017800000001000000010000018bcfe5687b0000018bcfe56864";
    const PLAIN: &str = "00010000000000000fa100070000ea600103076f72646572730300000000\
        000000020002780200000001000000018bcfe5687b0000018bcfe5686400";
    const TAGGED: &str = "00010000000000000fa100070000ea600103076f72646572730300000000\
        000000020002780200000001000000018bcfe5687b0000018bcfe568640300080000000000000fa0010800\
        00000000000fa202020002";
    const NEXT_EPOCH: &str = "00010000000000000fa100070000ea600103076f72646572730300000000\
        000000020002780200000001000000018bcfe5687b0000018bcfe568640400080000000000000fa0010800\
        00000000000fa20202000203020005";
    const NULL: &str = "000100000000000000010000000000000000000000000000000000000000\
        0000000000";

    #[test]
    fn keys_are_kafkas_to_the_byte() {
        assert_eq!(key_bytes("produce-t").expect("it fits"), bytes(KEY));
        assert_eq!(key_of(bytes(KEY)).expect("a key"), "produce-t");
        let later = Bytes::from_static(&[0, 1, 0, 0]);
        assert!(matches!(key_of(later), Err(RecordError::Version { version: 1, .. })));
    }

    #[test]
    fn values_are_kafkas_to_the_byte() {
        let plain = transaction();
        assert_eq!(value_bytes(&plain).expect("it fits"), bytes(PLAIN));
        assert_eq!(value_of(bytes(PLAIN)).expect("a value"), plain);
        assert_eq!(value_of(bytes(PLAIN_0)).expect("a value of before"), plain);
        let tagged = Transaction {
            previous_producer_id: 4_000,
            next_producer_id: 4_002,
            client_version: 2,
            ..transaction()
        };
        assert_eq!(value_bytes(&tagged).expect("it fits"), bytes(TAGGED));
        assert_eq!(value_of(bytes(TAGGED)).expect("a value"), tagged);
        // Two-phase commit's next epoch is Kafka's to use; it does not by default.
        assert_eq!(value_of(bytes(NEXT_EPOCH)).expect("a value"), tagged);
    }

    #[test]
    fn an_empty_transaction_has_null_for_partitions() {
        let empty = Transaction {
            producer_id: 1,
            epoch: 0,
            timeout_ms: 0,
            status: Status::Empty,
            partitions: BTreeMap::new(),
            started_ms: 0,
            updated_ms: 0,
            ..transaction()
        };
        assert_eq!(value_bytes(&empty).expect("it fits"), bytes(NULL));
        assert_eq!(value_of(bytes(NULL)).expect("a value"), empty);
    }

    #[test]
    fn damaged_values_are_refused() {
        let good = bytes(TAGGED);
        for length in 0..good.len() {
            assert!(value_of(good.slice(..length)).is_err(), "{length} bytes");
        }
        let mut other = good.to_vec();
        other[16] = 6;
        assert!(matches!(value_of(other.into()), Err(RecordError::Status(6))));
    }
}
