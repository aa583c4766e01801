//! How far MirrorMaker 2 has mirrored a partition, as Kafka Connect stores it for the connector
//! `MirrorSourceConnector` in `mm2-offsets.<source>.internal`: JSON without a schema.
//!
//! Connect finds a position again by the bytes of its key, so the order of the fields counts.

use serde::{Deserialize, Serialize};

use super::record_bytes::Unreadable;

/// The name that MirrorMaker 2's driver gives the connector that mirrors records.
const CONNECTOR: &str = "MirrorSourceConnector";

/// Up to where a partition is mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceOffset {
    /// Alias of the source.
    pub cluster: String,
    /// The topic there.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Source offset of the last mirrored record; `None` where Connect was told to forget it.
    pub offset: Option<i64>,
}

/// In the order in which Connect writes them.
#[derive(Serialize, Deserialize)]
struct Partition {
    cluster: String,
    partition: i32,
    topic: String,
}

#[derive(Serialize, Deserialize)]
struct Position {
    offset: i64,
}

impl SourceOffset {
    /// Reads a record; `None` where it speaks of another connector.
    ///
    /// # Errors
    /// When it is not JSON, or not of this shape.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, Unreadable> {
        let json =
            |field, error: serde_json::Error| Unreadable::Json { field, why: error.to_string() };
        let Some(key) = key else { return Ok(None) };
        let (connector, partition): (String, serde_json::Value) =
            serde_json::from_slice(key).map_err(|error| json("key", error))?;
        if connector != CONNECTOR {
            return Ok(None);
        }
        let place: Partition =
            serde_json::from_value(partition).map_err(|error| json("key", error))?;
        let value = value.map(serde_json::from_slice::<Option<Position>>).transpose();
        let position = value.map_err(|error| json("value", error))?.flatten();
        Ok(Some(Self {
            cluster: place.cluster,
            topic: place.topic,
            partition: place.partition,
            offset: position.map(|position| position.offset),
        }))
    }

    /// What Connect looks for.
    pub fn key(&self) -> Vec<u8> {
        let (cluster, topic) = (self.cluster.clone(), self.topic.clone());
        let partition = Partition { cluster, partition: self.partition, topic };
        json((CONNECTOR, partition))
    }

    /// The position; `None` is a null value, by which Connect forgets it.
    pub fn value(&self) -> Option<Vec<u8>> {
        self.offset.map(|offset| json(Position { offset }))
    }
}

fn json(shape: impl Serialize) -> Vec<u8> {
    serde_json::to_vec(&shape).expect("a struct of texts and numbers is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_connect() {
        let key = br#"["MirrorSourceConnector",{"cluster":"A","partition":0,"topic":"orders"}]"#;
        let value = br#"{"offset":999}"#;
        let stored = SourceOffset {
            cluster: "A".to_owned(),
            topic: "orders".to_owned(),
            partition: 0,
            offset: Some(999),
        };
        assert_eq!(stored.key(), key);
        assert_eq!(stored.value().unwrap(), value);
        assert_eq!(SourceOffset::read(Some(key), Some(value)), Ok(Some(stored.clone())));
        let forgotten = SourceOffset { offset: None, ..stored };
        assert_eq!(SourceOffset::read(Some(key), None), Ok(Some(forgotten.clone())));
        assert_eq!(SourceOffset::read(Some(key), Some(b"null")), Ok(Some(forgotten)));
    }

    #[test]
    fn other_connectors_are_passed_over_and_nonsense_is_told() {
        let other = br#"["MirrorCheckpointConnector",{"partition":0,"topic":"A.t","group":"g"}]"#;
        assert_eq!(SourceOffset::read(Some(other), Some(br#"{"offset":0}"#)), Ok(None));
        assert!(SourceOffset::read(Some(b"orders"), None).is_err());
        let key = br#"["MirrorSourceConnector",{"cluster":"A","partition":0,"topic":"orders"}]"#;
        assert!(SourceOffset::read(Some(key), Some(br#"{"offset":"far"}"#)).is_err());
    }
}
