//! One direction of mirroring: what is written at its source, what must be found at its target.

use std::collections::BTreeMap;

use farlog_client::admin::{ConfigChange, ConfigResource, NewTopic};
use farlog_client::{RequestError, TopicPartition};
use farlog_testkit::tools::Tool;
use farlog_wire::ErrorCode;
use farlog_wire::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use farlog_wire::records::{BatchWriter, Header, ProducerStamp};
use tokio::time::{Instant, sleep};

use super::partition::{Content, is_transactional, read, string};
use super::{LOOK, PATIENCE, Side};
use crate::clients::run;

/// Records of each batch.
const RECORDS: i64 = 20;

/// The number of the first record that comes last.
const LATER: i64 = 2 * RECORDS;

/// Partitions at first, and one that comes later.
pub(super) const PARTITIONS: i32 = 2;
const LATER_PARTITION: i32 = 2;

/// Records that are deleted at the source, so that offsets differ between the clusters.
const DELETED: i64 = 3;

/// Long ago, so that nobody's clock is taken for a record's.
const FIRST_TIMESTAMP_MS: i64 = 1_700_000_000_000;

/// From where to where.
pub(super) struct Flow<'a> {
    pub(super) source: &'a Side,
    pub(super) target: &'a Side,
    /// Topics with heartbeats at the source that come along.
    heartbeats: &'static [&'static str],
}

fn topic_of(alias: &str) -> String {
    format!("orders-{alias}")
}

fn group_of(alias: &str) -> String {
    format!("readers-{alias}")
}

/// Makes the topic that is mirrored, with records that are there before MirrorMaker comes.
pub(super) async fn prepare(source: &Side) {
    let name = topic_of(source.alias);
    // The records are too old for any other retention.
    let retention = ("retention.ms", "-1");
    let configs = [retention, ("max.message.bytes", "900000"), ("segment.bytes", "10000000")];
    let configs = configs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        configs: configs.into(),
    };
    let made = source.client.create_topics(&[topic], false).await.expect("an answer");
    made[&name].as_ref().expect("the topic is made");
    for index in 0..PARTITIONS {
        produce(source, index, 0).await;
    }
    let first = TopicPartition::new(name.as_str(), 0);
    let deleted = source.client.delete_records([(first.clone(), DELETED)]).await;
    assert_eq!(*deleted[&first].as_ref().expect("they are deleted"), DELETED);
}

/// Records that come while MirrorMaker runs, and a group that reads everything.
pub(super) async fn go_on(source: &Side) {
    for index in 0..PARTITIONS {
        produce(source, index, RECORDS).await;
    }
    let read = consume(source, &group_of(source.alias), &topic_of(source.alias)).await;
    assert_eq!(read.len() as i64, 2 * i64::from(PARTITIONS) * RECORDS - DELETED);
}

/// What else happens to the topic while it is mirrored: other configs, a partition, records.
pub(super) async fn change(source: &Side) {
    let name = topic_of(source.alias);
    let changes =
        [ConfigChange::set("max.message.bytes", "800000"), ConfigChange::delete("segment.bytes")];
    let changes = BTreeMap::from([(ConfigResource::topic(&name), changes.to_vec())]);
    let changed = source.client.incremental_alter_configs(&changes, false).await;
    changed.expect("an answer").into_values().for_each(|done| done.expect("it is set"));
    let grown = [(name.clone(), LATER_PARTITION + 1)];
    let grown = source.client.create_partitions(&grown, false).await.expect("an answer");
    grown[&name].as_ref().expect("it grows");
    for index in [0, LATER_PARTITION] {
        produce(source, index, LATER).await;
    }
}

/// One batch; keys, values and headers of every kind.
async fn produce(side: &Side, index: i32, first: i64) {
    let mut writer = BatchWriter::new();
    for number in first..first + RECORDS {
        let (key, value) = (format!("key {number}"), format!("{}-{index}-{number}", side.alias));
        let key = (number % 3 != 0).then_some(key.as_bytes());
        let value = (number % 5 != 1).then_some(value.as_bytes());
        let headers = [
            Header { key: b"twice", value: Some(b"one") },
            Header { key: b"twice", value: Some(&[0xff, 0]) },
            Header { key: b"none", value: None },
        ];
        let headers = &headers[..number as usize % 4];
        writer.push(FIRST_TIMESTAMP_MS + 7 * number, key, value, headers);
    }
    let batch = writer.finish(ProducerStamp::NONE).expect("a batch");
    let place = TopicPartition::new(topic_of(side.alias), index);
    let deadline = Instant::now() + PATIENCE;
    // A broker may hear of a new partition after its controller has acknowledged it.
    while let Err(error) = side.client.produce_batch(&place, &batch).await {
        let is_new = matches!(error, RequestError::UnknownPartition { .. });
        assert!(is_new && Instant::now() < deadline, "{place}: {error}");
        sleep(LOOK).await;
    }
}

/// What a member of a group gets that goes on where the group was: one line for each record.
async fn consume(side: &Side, group: &str, topic: &str) -> Vec<String> {
    let arguments = ["-b", &side.bootstrap, "-q", "-e", "-X", "auto.offset.reset=earliest"];
    let format = ["-f", "%p %T %k %s\n", "-G", group, topic];
    let said = run(Tool::kcat().args(arguments).args(format)).await;
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        source: &'a Side,
        target: &'a Side,
        heartbeats: &'static [&'static str],
    ) -> Flow<'a> {
        Flow { source, target, heartbeats }
    }

    pub(super) fn topic(&self) -> String {
        topic_of(self.source.alias)
    }

    pub(super) fn group(&self) -> String {
        group_of(self.source.alias)
    }

    /// As MirrorMaker's default policy names it.
    fn mirror(&self) -> String {
        format!("{}.{}", self.source.alias, self.topic())
    }

    fn both(&self, index: i32) -> (TopicPartition, TopicPartition) {
        let place = |topic: String| TopicPartition::new(topic, index);
        (place(self.topic()), place(self.mirror()))
    }

    /// Every partition of the source is at the target: the same records in the same order.
    pub(super) async fn records_are_equal(&self, partitions: i32) -> Result<(), String> {
        for index in 0..partitions {
            let (source, target) = self.both(index);
            let alone = |found: Vec<(i64, Content)>| -> Vec<Content> {
                found.into_iter().map(|(_, content)| content).collect()
            };
            let expected = alone(read(&self.source.client, &source).await?);
            let found = alone(read(&self.target.client, &target).await?);
            if found != expected {
                return Err(format!("{target}: {found:?} where {expected:?} belongs"));
            }
        }
        Ok(())
    }

    /// What is set on the topic is set on the mirror.
    pub(super) async fn configs_are_equal(&self) -> Result<(), String> {
        let expected = own_configs(self.source, &self.topic()).await?;
        let found = own_configs(self.target, &self.mirror()).await?;
        same(&self.mirror(), &found, &expected)
    }

    /// MirrorMaker mirrors all that it will: the flow's heartbeats are at the target, and so are
    /// mirrors of those that others left at the source. From then on no task is started anew for a
    /// topic that was not there before; a task that ends may keep its last offset syncs to itself.
    pub(super) async fn is_settled(&self) -> Result<(), String> {
        let (from, to) = (self.source.alias, self.target.alias);
        let key = [string(from), string(to)].concat();
        self.latest(self.target, "heartbeats", &key).await?;
        for heartbeats in self.heartbeats {
            let mirror = format!("{from}.{heartbeats}");
            let place = TopicPartition::new(mirror.as_str(), 0);
            if read(&self.target.client, &place).await?.is_empty() {
                return Err(format!("{mirror} is empty"));
            }
        }
        Ok(())
    }

    /// Whether what is mirrored comes in transactions.
    pub(super) async fn is_exactly_once(&self) -> bool {
        let (_, target) = self.both(0);
        is_transactional(&self.target.client, &target).await.expect("the mirror is there")
    }

    /// The place of the last record of each partition, at the source.
    pub(super) async fn offset_syncs_are_there(&self) -> Result<(), String> {
        let topic = format!("mm2-offset-syncs.{}.internal", self.target.alias);
        for index in 0..PARTITIONS {
            let (source, target) = self.both(index);
            let key = [string(&self.topic()), index.to_be_bytes().to_vec()].concat();
            let place = [last(self.source, &source).await?, last(self.target, &target).await?];
            let expected = place.map(i64::to_be_bytes).concat();
            let found = self.latest(self.source, &topic, &key).await?;
            same(&topic, &found, &expected)?;
        }
        Ok(())
    }

    /// The group has read all, there and here.
    pub(super) async fn checkpoints_are_there(&self) -> Result<(), String> {
        let topic = format!("{}.checkpoints.internal", self.source.alias);
        for index in 0..PARTITIONS {
            let (source, target) = self.both(index);
            let names = [string(&self.group()), string(&self.mirror())].concat();
            let key = [names, index.to_be_bytes().to_vec()].concat();
            let place = [last(self.source, &source).await?, last(self.target, &target).await?];
            let place = place.map(|offset| (offset + 1).to_be_bytes()).concat();
            // A version before, empty metadata behind.
            let expected = [vec![0, 0], place, string("")].concat();
            let found = self.latest(self.target, &topic, &key).await?;
            same(&topic, &found, &expected)?;
        }
        Ok(())
    }

    /// The group has a place at the target, as if it had committed there.
    pub(super) async fn group_is_synced(&self) -> Result<(), String> {
        let expected = self.translated().await?;
        same(&self.group(), &committed(self.target, &self.group()).await?, &expected)
    }

    /// What to ask `Translate` for.
    pub(super) fn question(&self) -> String {
        format!("{}/{}/{}", self.target.bootstrap, self.source.alias, self.group())
    }

    /// What it should say.
    pub(super) async fn answer(&self) -> String {
        let mut answer = format!("{} 1\n", self.source.alias);
        for ((topic, index), offset) in self.translated().await.expect("it is mirrored") {
            answer += &format!("{topic} {index} {offset}\n");
        }
        answer
    }

    /// A reader that has moved to the target gets what came later, and nothing else.
    pub(super) async fn group_goes_on_at_the_target(&self) {
        let mut expected = Vec::new();
        for index in [0, LATER_PARTITION] {
            let (source, _) = self.both(index);
            let found = read(&self.source.client, &source).await.expect("the source is there");
            let later = found.iter().filter(|(_, content)| content.is_later());
            expected.extend(later.map(|(_, content)| content.line(index)));
        }
        expected.sort();
        assert_eq!(expected.len() as i64, 2 * RECORDS);
        let found = consume(self.target, &self.group(), &self.mirror()).await;
        assert_eq!(found, expected, "{} at {}", self.group(), self.target.alias);
    }

    /// Where the group goes on at the target: it had read everything that there was.
    async fn translated(&self) -> Result<BTreeMap<(String, i32), i64>, String> {
        let mut places = BTreeMap::new();
        for index in 0..PARTITIONS {
            let (_, target) = self.both(index);
            places.insert((self.mirror(), index), last(self.target, &target).await? + 1);
        }
        Ok(places)
    }

    /// The last value under a key of an internal topic.
    async fn latest(&self, side: &Side, topic: &str, key: &[u8]) -> Result<Vec<u8>, String> {
        let found = read(&side.client, &TopicPartition::new(topic, 0)).await?;
        let mut found = found.into_iter().rev().map(|(_, content)| content);
        let latest = found.find(|content| content.key.as_deref() == Some(key));
        latest.and_then(|content| content.value).ok_or_else(|| format!("{topic}: no {key:?}"))
    }
}

impl Content {
    fn is_later(&self) -> bool {
        self.timestamp >= FIRST_TIMESTAMP_MS + 7 * LATER
    }

    /// As [`consume`] has it.
    fn line(&self, index: i32) -> String {
        let text = |bytes: &Option<Vec<u8>>| {
            String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
        };
        format!("{index} {} {} {}", self.timestamp, text(&self.key), text(&self.value))
    }
}

/// The offset of the last record.
async fn last(side: &Side, place: &TopicPartition) -> Result<i64, String> {
    let found = read(&side.client, place).await?;
    found.last().map(|(offset, _)| *offset).ok_or_else(|| format!("{place} is empty"))
}

async fn own_configs(side: &Side, topic: &str) -> Result<BTreeMap<String, String>, String> {
    let resource = ConfigResource::topic(topic);
    let described = side.client.describe_configs(std::slice::from_ref(&resource)).await;
    let mut described = described.map_err(|error| error.to_string())?;
    let entries = described.remove(&resource).ok_or("no answer")?;
    let entries = entries.map_err(|error| error.to_string())?.into_iter();
    let own = entries.filter(|(_, entry)| entry.is_own());
    Ok(own.map(|(name, entry)| (name, entry.value.unwrap_or_default())).collect())
}

/// What a group has committed.
async fn committed(side: &Side, group: &str) -> Result<BTreeMap<(String, i32), i64>, String> {
    let asked = OffsetFetchRequestGroup {
        group_id: group.to_owned(),
        topics: None,
        member_epoch: -1,
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![asked], ..OffsetFetchRequest::default() };
    let coordinator = side.client.group_coordinator(group).await;
    let coordinator = coordinator.map_err(|error| error.to_string())?;
    let response = coordinator.send_version(&request, 9).await;
    let group = response.map_err(|error| error.to_string())?.groups.remove(0);
    same("OffsetFetch", &group.error_code, &ErrorCode::NONE)?;
    let topics = group.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        let partitions = topic.partitions.into_iter();
        partitions.map(move |one| ((name.clone(), one.partition_index), one.committed_offset))
    });
    Ok(topics.collect())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} where {expected:?} belongs"))
}
