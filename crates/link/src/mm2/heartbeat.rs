//! A heartbeat: somebody mirrors from one cluster to another
//! (`org.apache.kafka.connect.mirror.Heartbeat`).

use super::record_bytes::{Fields, TextTooLong, Unreadable, put_text};

/// The only version there is.
const VERSION: i16 = 0;

/// A sign of life of one pair of clusters, in the target's topic `heartbeats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Alias of the cluster mirrored from.
    pub source_cluster_alias: String,
    /// Alias of the cluster mirrored to.
    pub target_cluster_alias: String,
    /// When it was written: milliseconds since 1970.
    pub timestamp_ms: i64,
}

impl Heartbeat {
    /// Reads a record; `None` for a tombstone, which says nothing.
    ///
    /// # Errors
    /// When the bytes end too early. Another version is read as this one, as Java does.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, Unreadable> {
        let (Some(key), Some(value)) = (key, value) else { return Ok(None) };
        let (mut key, mut value) = (Fields(key), Fields(value));
        value.int16("version")?;
        Ok(Some(Self {
            source_cluster_alias: key.text("sourceClusterAlias")?,
            target_cluster_alias: key.text("targetClusterAlias")?,
            timestamp_ms: value.int64("timestamp")?,
        }))
    }

    /// What compaction goes by.
    ///
    /// # Errors
    /// When an alias is longer than the format can hold.
    pub fn key(&self) -> Result<Vec<u8>, TextTooLong> {
        let mut key = Vec::new();
        put_text(&mut key, "sourceClusterAlias", &self.source_cluster_alias)?;
        put_text(&mut key, "targetClusterAlias", &self.target_cluster_alias)?;
        Ok(key)
    }

    /// The time.
    pub fn value(&self) -> Vec<u8> {
        let mut value = VERSION.to_be_bytes().to_vec();
        value.extend(self.timestamp_ms.to_be_bytes());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::record_bytes::hex;
    use super::*;

    #[test]
    fn the_bytes_are_those_of_mirrormaker() {
        let heartbeat = Heartbeat {
            source_cluster_alias: "us".to_owned(),
            target_cluster_alias: "eu".to_owned(),
            timestamp_ms: 1_700_000_000_000,
        };
        let (key, mut value) = (hex::bytes("0002 7573 0002 6575"), heartbeat.value());
        assert_eq!(heartbeat.key().unwrap(), key);
        assert_eq!(value, hex::bytes("0000 0000018bcfe56800"));
        value.extend([1, 2, 3]);
        assert_eq!(Heartbeat::read(Some(&key), Some(&value)), Ok(Some(heartbeat)));
        assert_eq!(Heartbeat::read(Some(&key), None), Ok(None));
        assert!(Heartbeat::read(Some(&key), Some(&value[..9])).is_err());
        assert!(Heartbeat::read(Some(&key[..7]), Some(&value)).is_err());
    }
}
