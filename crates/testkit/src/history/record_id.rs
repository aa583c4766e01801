//! The name that every generated record carries.

use std::fmt;

/// Where a record was written, and as the how manieth: written at the start of its value, or of its
/// key if the value is null or empty, or in its first header if the key is null as well.
///
/// Ordinals count everything that was sent to a source partition, aborted records included, so one
/// id is never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId {
    /// Source topic.
    pub topic: String,
    /// Source partition.
    pub partition: i32,
    /// Counted from 0 in each partition.
    pub ordinal: u64,
}

/// Ids end with this; what follows is filler.
const END: u8 = b';';

/// A topic name has at most 249 characters, a partition 11, an ordinal 20.
const ID_BYTES_MAX: usize = 300;

impl RecordId {
    /// Reads the id at the start of a field.
    pub fn parse(field: &[u8]) -> Option<RecordId> {
        let end = field.iter().take(ID_BYTES_MAX).position(|byte| *byte == END)?;
        let text = std::str::from_utf8(&field[..end]).ok()?;
        let (place, ordinal) = text.rsplit_once('#')?;
        let (topic, partition) = place.rsplit_once('/')?;
        Some(RecordId {
            topic: topic.to_owned(),
            partition: partition.parse().ok()?,
            ordinal: ordinal.parse().ok()?,
        })
    }

    /// The id as a field begins with it.
    pub fn to_field(&self) -> Vec<u8> {
        format!("{self};").into_bytes()
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.topic, self.partition, self.ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_whatever_follows_it() {
        let id = RecordId { topic: "a/b#c".to_owned(), partition: 3, ordinal: 99 };
        let mut field = id.to_field();
        field.extend(b"filler; more");
        assert_eq!(RecordId::parse(&field), Some(id));
        assert_eq!(RecordId::parse(b"no id here"), None);
        assert_eq!(RecordId::parse(b"a/1#x;"), None);
        assert_eq!(RecordId::parse(b""), None);
    }
}
