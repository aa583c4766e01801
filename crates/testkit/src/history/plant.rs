//! Faults on purpose: one is put into a copy of a log, and the checker has to find it.

use bytes::Bytes;

use super::RecordId;
use super::checker::Fault;
use super::random::Random;
use super::record::{Identity, LogRecord};

/// What to do to a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Leave a record out.
    Drop,
    /// Leave the last record out.
    DropLast,
    /// Write a record twice in a row.
    Duplicate,
    /// Write a record again at the end.
    DuplicateLate,
    /// Exchange two neighbours.
    Swap,
    /// Change the last byte of a key, or add one.
    AlterKey,
    /// Change the last byte of a value, or add one.
    AlterValue,
    /// Make a null of an empty value, or the other way round.
    AlterNull,
    /// Change the id itself, so that the record is not known any more.
    AlterIdentity,
    /// Change a header's value, or add a header.
    AlterHeader,
    /// Move the timestamp by a millisecond.
    AlterTimestamp,
    /// Put an aborted record in its place.
    Aborted,
    /// Put in a record that says it comes from elsewhere.
    Foreign,
    /// Put in a record that says nothing.
    Nameless,
}

impl Planted {
    /// Every one.
    pub const ALL: [Planted; 14] = [
        Planted::Drop,
        Planted::DropLast,
        Planted::Duplicate,
        Planted::DuplicateLate,
        Planted::Swap,
        Planted::AlterKey,
        Planted::AlterValue,
        Planted::AlterNull,
        Planted::AlterIdentity,
        Planted::AlterHeader,
        Planted::AlterTimestamp,
        Planted::Aborted,
        Planted::Foreign,
        Planted::Nameless,
    ];

    /// What the checker must call it.
    pub fn fault(self) -> Fault {
        match self {
            Planted::Drop | Planted::DropLast => Fault::Lost,
            Planted::Duplicate | Planted::DuplicateLate => Fault::Twice,
            Planted::Swap => Fault::OutOfOrder,
            Planted::Aborted => Fault::Aborted,
            Planted::Foreign | Planted::Nameless => Fault::Foreign,
            Planted::AlterKey
            | Planted::AlterValue
            | Planted::AlterNull
            | Planted::AlterIdentity
            | Planted::AlterHeader
            | Planted::AlterTimestamp => Fault::Altered,
        }
    }

    /// Does it somewhere in `copy`, and says to whom; `None` if nothing in it is fit for it.
    pub fn plant(
        self,
        copy: &mut Vec<LogRecord>,
        aborted: &[LogRecord],
        random: &mut Random,
    ) -> Option<Identity> {
        let fit: Vec<usize> = (0..copy.len()).filter(|at| self.fits(copy, *at)).collect();
        if fit.is_empty() {
            return None;
        }
        let at = *random.pick(&fit);
        let identity = copy[at].identity();
        let one = &mut copy[at];
        match self {
            Planted::Drop | Planted::DropLast => {
                copy.remove(at);
            }
            Planted::Duplicate => copy.insert(at, copy[at].clone()),
            Planted::DuplicateLate => copy.push(copy[at].clone()),
            Planted::Swap => copy.swap(at, at + 1),
            Planted::AlterKey => one.key = Some(altered(one.key.as_ref())),
            Planted::AlterValue => one.value = Some(altered(one.value.as_ref())),
            Planted::AlterNull => {
                one.value = if one.value.is_none() { Some(Bytes::new()) } else { None };
            }
            Planted::AlterIdentity => {
                let Identity::Named(id) = &identity else { return None };
                one.value = Some(RecordId { ordinal: u64::MAX, ..id.clone() }.to_field().into());
            }
            Planted::AlterHeader => match one.headers.last_mut() {
                Some((_, value)) => *value = Some(altered(value.as_ref())),
                None => one.headers.push((Bytes::from_static(b"planted"), None)),
            },
            Planted::AlterTimestamp => one.timestamp_ms += 1,
            Planted::Aborted => {
                let aborted = aborted.first()?.clone();
                let identity = aborted.identity();
                copy.insert(at, aborted);
                return Some(identity);
            }
            Planted::Foreign | Planted::Nameless => {
                let stranger = self.stranger(one.timestamp_ms);
                let identity = stranger.identity();
                copy.insert(at, stranger);
                return Some(identity);
            }
        }
        Some(identity)
    }

    fn stranger(self, timestamp_ms: i64) -> LogRecord {
        let id = RecordId { topic: "elsewhere".to_owned(), partition: 0, ordinal: 1 };
        let value = if self == Planted::Foreign { id.to_field() } else { b"who?".to_vec() };
        let (offset, key, headers) = (0, None, Vec::new());
        LogRecord { offset, timestamp_ms, key, value: Some(value.into()), headers }
    }

    fn fits(self, copy: &[LogRecord], at: usize) -> bool {
        let one = &copy[at];
        let named = matches!(one.identity(), Identity::Named(_));
        let id_in_value = named && one.value.as_ref().is_some_and(|value| !value.is_empty());
        match self {
            Planted::DropLast => at + 1 == copy.len(),
            Planted::Swap => at + 1 < copy.len(),
            // The last one written again at the end would be written twice in a row.
            Planted::DuplicateLate => at + 1 < copy.len(),
            Planted::AlterKey | Planted::AlterValue | Planted::AlterHeader => id_in_value,
            Planted::AlterNull => named && !id_in_value,
            // Alone between two that are known.
            Planted::AlterIdentity => id_in_value && at > 0 && at + 1 < copy.len(),
            Planted::AlterTimestamp => named,
            _ => true,
        }
    }
}

fn altered(field: Option<&Bytes>) -> Bytes {
    let mut field = field.map_or_else(Vec::new, |field| field.to_vec());
    match field.last_mut() {
        // An id ends with a semicolon; what is behind it is filler.
        Some(b';') | None => field.push(b'!'),
        Some(last) => *last ^= 1,
    }
    field.into()
}
