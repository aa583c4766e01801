//! What consumers tell their group, and what they are told: Kafka's embedded consumer protocol
//! (`ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, version 0), and its `range`
//! assignor.

use std::collections::BTreeMap;

use bytes::Bytes;
use farlog_client::TopicPartition;
use farlog_client::group::{Assignments, JoinedMember};
use farlog_wire::{DecodeError, EncodeError, Reader, Writer};

use super::super::shop;

const VERSION: i16 = 0;

/// The least that a topic's name takes, and the least with an empty list of partitions behind it.
const NAME_BYTES_MIN: usize = 2;
const TOPIC_BYTES_MIN: usize = NAME_BYTES_MIN + 4;

/// Partitions of each topic.
type Partitions = BTreeMap<String, Vec<i32>>;

/// "These topics, please."
pub(super) fn subscription(topics: &[&str]) -> Result<Bytes, EncodeError> {
    let mut out = Writer::new();
    out.i16(VERSION);
    out.array("Subscription.topics", topics, false, |out, topic| {
        out.string("Subscription.topics", topic, false)
    })?;
    out.nullable_bytes("Subscription.user_data", None, false, true)?;
    Ok(out.into_bytes().freeze())
}

fn topics(subscription: Bytes) -> Result<Vec<String>, DecodeError> {
    let mut input = Reader::new(subscription);
    input.i16("Subscription.version")?;
    input.array("Subscription.topics", false, NAME_BYTES_MIN, |input| {
        input.string("Subscription.topics", false)
    })
}

fn assignment(partitions: &Partitions) -> Result<Bytes, EncodeError> {
    let topics: Vec<_> = partitions.iter().collect();
    let mut out = Writer::new();
    out.i16(VERSION);
    out.array("Assignment.partitions", &topics, false, |out, (topic, partitions)| {
        out.string("Assignment.topic", topic, false)?;
        out.array("Assignment.partitions", partitions, false, |out, index| {
            out.i32(*index);
            Ok(())
        })
    })?;
    out.nullable_bytes("Assignment.user_data", None, false, true)?;
    Ok(out.into_bytes().freeze())
}

/// "These partitions are yours"; nothing at all is for who gets none.
pub(super) fn assigned(assignment: Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = Reader::new(assignment);
    input.i16("Assignment.version")?;
    let topics = input.array("Assignment.partitions", false, TOPIC_BYTES_MIN, |input| {
        let topic = input.string("Assignment.topic", false)?;
        let partitions = input
            .array("Assignment.partitions", false, 4, |input| input.i32("Assignment.partitions"))?;
        Ok((topic, partitions))
    })?;
    let each = topics.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(|index| TopicPartition::new(topic.as_str(), *index))
    });
    Ok(each.collect())
}

/// Every topic in ranges, one for each member that wants it. Who cannot be understood gets nothing.
pub(super) fn range(members: &[JoinedMember]) -> Assignments {
    let mut wanted: Vec<(&str, Vec<String>)> = members
        .iter()
        .map(|member| (&*member.member_id, topics(member.metadata.clone()).unwrap_or_default()))
        .collect();
    wanted.sort();
    let mut shares: BTreeMap<&str, Partitions> = BTreeMap::new();
    for topic in shop::TOPICS {
        let takers: Vec<&str> = wanted
            .iter()
            .filter(|(_, topics)| topics.iter().any(|wanted| wanted == topic))
            .map(|(member, _)| *member)
            .collect();
        for index in 0..shop::PARTITIONS {
            // As many for each; what is left over goes to the first.
            let place = index as usize * takers.len() / shop::PARTITIONS as usize;
            if let Some(taker) = takers.get(place) {
                let share = shares.entry(taker).or_default();
                share.entry(topic.to_owned()).or_default().push(index);
            }
        }
    }
    let encoded = shares.iter().map(|(member, share)| {
        let assignment = assignment(share).expect("a few short names fit every limit");
        ((*member).to_owned(), assignment)
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, metadata: Bytes) -> JoinedMember {
        JoinedMember { member_id: id.to_owned(), instance_id: None, metadata }
    }

    fn shares(members: &[JoinedMember]) -> BTreeMap<String, Vec<String>> {
        let shares = range(members).into_iter().map(|(member, assignment)| {
            let partitions = assigned(assignment).unwrap();
            (member, partitions.iter().map(ToString::to_string).collect())
        });
        shares.collect()
    }

    #[test]
    fn a_subscription_is_what_kafka_writes() {
        let bytes = subscription(&["ab", "c"]).unwrap();
        assert_eq!(&bytes[..], b"\0\0\0\0\0\x02\0\x02ab\0\x01c\xff\xff\xff\xff");
        assert_eq!(topics(bytes).unwrap(), ["ab", "c"]);
        let share = Partitions::from([("ab".to_owned(), vec![0, 1])]);
        let bytes = assignment(&share).unwrap();
        let expected = b"\0\0\0\0\0\x01\0\x02ab\0\0\0\x02\0\0\0\0\0\0\0\x01\xff\xff\xff\xff";
        assert_eq!(&bytes[..], expected);
        assert_eq!(assigned(Bytes::new()).unwrap(), []);
    }

    #[test]
    fn every_partition_has_one_owner_who_wants_it() {
        let all = || subscription(&shop::TOPICS).unwrap();
        let alone = shares(&[member("a", all())]);
        assert_eq!(alone["a"].len(), 6);
        let both = shares(&[member("b", all()), member("a", all())]);
        assert_eq!(both["a"], ["orders-0", "payments-0", "shop.clicks-0"]);
        assert_eq!(both["b"], ["orders-1", "payments-1", "shop.clicks-1"]);
        let three = [member("a", all()), member("b", all()), member("c", all())];
        assert_eq!(shares(&three).values().map(Vec::len).sum::<usize>(), 6);
        let one_topic = member("b", subscription(&["orders", "elsewhere"]).unwrap());
        let strange = member("c", Bytes::from_static(b"\0"));
        let mixed = shares(&[member("a", all()), one_topic, strange]);
        assert_eq!(mixed["b"], ["orders-1"]);
        assert_eq!((mixed["a"].len(), mixed.get("c")), (5, None));
    }
}
