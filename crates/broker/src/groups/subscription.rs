//! The topics that a classic group of consumers reads: what its members say of themselves in the
//! embedded consumer protocol (KIP-62, `ConsumerProtocolSubscription`).

use std::collections::BTreeSet;

use bytes::Bytes;
use farlog_wire::{ErrorCode, Reader};

use super::classic::ClassicGroup;
use super::{Group, Kind};

/// The protocol type of consumers.
const CONSUMER: &str = "consumer";

impl Group {
    /// The topics whose offsets are in use.
    ///
    /// # Errors
    /// `NON_EMPTY_GROUP` if the group is at work and is not one of consumers.
    pub(super) fn subscribed_topics(&self) -> Result<BTreeSet<String>, ErrorCode> {
        match &self.kind {
            Kind::Classic(classic) => subscribed(classic),
            Kind::Consumer(consumer) => Ok(consumer.subscribed_topics()),
        }
    }
}

fn subscribed(group: &ClassicGroup) -> Result<BTreeSet<String>, ErrorCode> {
    if group.members().is_empty() {
        return Ok(BTreeSet::new());
    }
    if group.protocol_type() != Some(CONSUMER) {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    let protocol = group.protocol().unwrap_or_default();
    let metadata = group.members().values().map(|member| member.metadata(protocol));
    // What cannot be read may stand for any topic.
    let topics = metadata.map(|metadata| topics(metadata).ok_or(ErrorCode::NON_EMPTY_GROUP));
    let topics: Result<Vec<_>, ErrorCode> = topics.collect();
    Ok(topics?.into_iter().flatten().collect())
}

/// The topics of one subscription: a version, then their names; what follows is of no interest.
fn topics(metadata: Bytes) -> Option<Vec<String>> {
    let mut input = Reader::new(metadata);
    input.i16("ConsumerProtocolSubscription.version").ok()?;
    let topics = input.array("ConsumerProtocolSubscription.topics", false, 2, |input| {
        input.string("ConsumerProtocolSubscription.topics", false)
    });
    topics.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_rubbish_is_not() {
        let metadata = Bytes::from_static(b"\0\x01\0\0\0\x01\0\x02ab\xff\xff\xff\xff");
        assert_eq!(topics(metadata), Some(vec!["ab".to_owned()]));
        assert_eq!(topics(Bytes::from_static(b"\0\x01\0\0\0\x09")), None);
        assert_eq!(topics(Bytes::new()), None);
    }
}
