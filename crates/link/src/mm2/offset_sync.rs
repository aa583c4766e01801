//! An offset sync: one record of which MirrorMaker 2 knows both offsets
//! (`org.apache.kafka.connect.mirror.OffsetSync`). It has no version.

use super::record_bytes::{Fields, TextTooLong, Unreadable, put_text};

/// One mirrored record at both ends: the offsets of the record itself, not of the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetSync {
    /// Its topic at the source.
    pub topic: String,
    /// Its partition, the same at both ends.
    pub partition: i32,
    /// Its offset at the source.
    pub upstream_offset: i64,
    /// Its offset at the target.
    pub downstream_offset: i64,
}

impl OffsetSync {
    /// Reads a record; `None` for a tombstone, which says nothing.
    ///
    /// # Errors
    /// When the bytes end too early.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, Unreadable> {
        let (Some(key), Some(value)) = (key, value) else { return Ok(None) };
        let (mut key, mut value) = (Fields(key), Fields(value));
        Ok(Some(Self {
            topic: key.text("topic")?,
            partition: key.int32("partition")?,
            upstream_offset: value.int64("upstreamOffset")?,
            downstream_offset: value.int64("offset")?,
        }))
    }

    /// What compaction goes by.
    ///
    /// # Errors
    /// When the name of the topic is none that Kafka allows.
    pub fn key(&self) -> Result<Vec<u8>, TextTooLong> {
        let mut key = Vec::new();
        put_text(&mut key, "topic", &self.topic)?;
        key.extend(self.partition.to_be_bytes());
        Ok(key)
    }

    /// The offsets.
    pub fn value(&self) -> Vec<u8> {
        [self.upstream_offset, self.downstream_offset].map(i64::to_be_bytes).concat()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record_bytes::hex;
    use super::*;

    fn orders(partition: i32, upstream_offset: i64, downstream_offset: i64) -> OffsetSync {
        OffsetSync { topic: "orders".to_owned(), partition, upstream_offset, downstream_offset }
    }

    #[test]
    fn the_bytes_are_those_of_mirrormaker() {
        for (sync, key, value) in [
            (
                orders(3, 1000, 970),
                "0006 6f7264657273 00000003",
                "00000000000003e8 00000000000003ca",
            ),
            (orders(0, 101, 101), "00066f726465727300000000", "00000000000000650000000000000065"),
        ] {
            assert_eq!(sync.key().unwrap(), hex::bytes(key));
            assert_eq!(sync.value(), hex::bytes(value));
            let (mut key, mut value) = (hex::bytes(key), hex::bytes(value));
            assert_eq!(OffsetSync::read(Some(&key), Some(&value)), Ok(Some(sync.clone())));
            key.extend(b"later");
            value.push(0);
            assert_eq!(OffsetSync::read(Some(&key), Some(&value)), Ok(Some(sync)));
        }
    }

    #[test]
    fn tombstones_say_nothing_and_short_records_are_told() {
        let sync = orders(3, 1000, 970);
        let (key, value) = (sync.key().unwrap(), sync.value());
        assert_eq!(OffsetSync::read(Some(&key), None), Ok(None));
        assert_eq!(OffsetSync::read(None, Some(&value)), Ok(None));
        let cut = OffsetSync::read(Some(&key), Some(&value[..15])).unwrap_err();
        assert_eq!(cut.to_string(), "field offset is cut off");
        for length in 0..key.len() {
            assert!(OffsetSync::read(Some(&key[..length]), Some(&value)).is_err());
        }
        let null = OffsetSync::read(Some(&hex::bytes("ffff 00000000")), Some(&value));
        assert_eq!(null.unwrap_err().to_string(), "field topic has the length -1");
        let long = OffsetSync { topic: "t".repeat(40_000), ..sync }.key().unwrap_err();
        assert_eq!((long.field, long.bytes), ("topic", 40_000));
    }
}
