//! A checkpoint: where a group would go on at the target
//! (`org.apache.kafka.connect.mirror.Checkpoint`), which is what `RemoteClusterUtils` reads.

use super::record_bytes::{Fields, TextTooLong, Unreadable, put_text};

/// The only version there is.
const VERSION: i16 = 0;

/// A group's committed position and its place at the target: both are the offset of the next
/// record to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The group.
    pub group: String,
    /// The topic, as the target calls it.
    pub topic: String,
    /// The partition, the same at both ends.
    pub partition: i32,
    /// What the group had committed at the source.
    pub upstream_offset: i64,
    /// Where that is at the target.
    pub downstream_offset: i64,
    /// What the group wrote beside it.
    pub metadata: String,
}

impl Checkpoint {
    /// Reads a record; `None` for a tombstone, which says nothing.
    ///
    /// # Errors
    /// When the bytes end too early. Another version is read as this one, as Java does.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, Unreadable> {
        let (Some(key), Some(value)) = (key, value) else { return Ok(None) };
        let (mut key, mut value) = (Fields(key), Fields(value));
        value.int16("version")?;
        Ok(Some(Self {
            group: key.text("group")?,
            topic: key.text("topic")?,
            partition: key.int32("partition")?,
            upstream_offset: value.int64("upstreamOffset")?,
            downstream_offset: value.int64("offset")?,
            metadata: value.text("metadata")?,
        }))
    }

    /// What compaction goes by.
    ///
    /// # Errors
    /// When a name is longer than Kafka allows.
    pub fn key(&self) -> Result<Vec<u8>, TextTooLong> {
        let mut key = Vec::new();
        put_text(&mut key, "group", &self.group)?;
        put_text(&mut key, "topic", &self.topic)?;
        key.extend(self.partition.to_be_bytes());
        Ok(key)
    }

    /// Everything else.
    ///
    /// # Errors
    /// When the metadata is longer than the format can hold.
    pub fn value(&self) -> Result<Vec<u8>, TextTooLong> {
        let mut value = VERSION.to_be_bytes().to_vec();
        value.extend(self.upstream_offset.to_be_bytes());
        value.extend(self.downstream_offset.to_be_bytes());
        put_text(&mut value, "metadata", &self.metadata)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record_bytes::hex;
    use super::*;

    fn billing(topic: &str, partition: i32, offsets: (i64, i64), metadata: &str) -> Checkpoint {
        Checkpoint {
            group: "billing".to_owned(),
            topic: topic.to_owned(),
            partition,
            upstream_offset: offsets.0,
            downstream_offset: offsets.1,
            metadata: metadata.to_owned(),
        }
    }

    #[test]
    fn the_bytes_are_those_of_mirrormaker() {
        let key = "0007 62696c6c696e67 0009 75732e6f7264657273 00000003";
        for (checkpoint, key, value) in [
            (
                billing("us.orders", 3, (1000, 970), ""),
                key,
                "0000 00000000000003e8 00000000000003ca 0000",
            ),
            (
                billing("us.orders", 3, (1000, 970), "mé"),
                key,
                "0000 00000000000003e8 00000000000003ca 0003 6dc3a9",
            ),
            (
                billing("A.orders", 0, (640, 607), ""),
                "000762696c6c696e670008412e6f726465727300000000",
                "00000000000000000280000000000000025f0000",
            ),
        ] {
            assert_eq!(checkpoint.key().unwrap(), hex::bytes(key));
            assert_eq!(checkpoint.value().unwrap(), hex::bytes(value));
            let (key, mut value) = (hex::bytes(key), hex::bytes(value));
            assert_eq!(Checkpoint::read(Some(&key), Some(&value)), Ok(Some(checkpoint.clone())));
            // A later version, and a field behind the last one.
            value[1] = 1;
            value.push(7);
            assert_eq!(Checkpoint::read(Some(&key), Some(&value)), Ok(Some(checkpoint)));
        }
    }

    #[test]
    fn tombstones_say_nothing_and_short_records_are_told() {
        let checkpoint = billing("us.orders", 3, (1000, 970), "some");
        let (key, value) = (checkpoint.key().unwrap(), checkpoint.value().unwrap());
        assert_eq!(Checkpoint::read(Some(&key), None), Ok(None));
        for length in 0..key.len() {
            assert!(Checkpoint::read(Some(&key[..length]), Some(&value)).is_err());
        }
        for length in 0..value.len() {
            assert!(Checkpoint::read(Some(&key), Some(&value[..length])).is_err());
        }
    }
}
