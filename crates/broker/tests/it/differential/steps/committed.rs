//! Offsets of groups: `commit`, `committed` and `delete-offsets`.

use farlog_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use farlog_wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use farlog_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use farlog_wire::{ErrorCode, Request, Uuid};

use super::transactions::ask;
use crate::differential::script::{Args, parse};
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// From these versions on topics are named by their ids, and groups asked for together.
const BY_ID: i16 = 10;
const MANY_GROUPS: i16 = 8;

/// `commit GROUP TOPIC PARTITION OFFSET`: `generation= member= instance= metadata= epoch=`.
pub(super) async fn commit(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let partition = OffsetCommitRequestPartition {
        partition_index: args.number_at(2),
        committed_offset: args.number_at(3),
        committed_leader_epoch: if version >= 6 { args.number("epoch", -1) } else { -1 },
        committed_metadata: match args.option("metadata") {
            Some("~") => None,
            Some(text) => Some(match text.strip_prefix('*') {
                Some(bytes) => "m".repeat(parse(bytes)),
                None => text.to_owned(),
            }),
            None => Some(String::new()),
        },
    };
    let alias = args.word(1);
    let by_id = version >= BY_ID;
    let topic = OffsetCommitRequestTopic {
        name: if by_id { String::new() } else { world.name(alias) },
        topic_id: if by_id { world.topic_id(alias) } else { Uuid::ZERO },
        partitions: vec![partition],
    };
    let request = OffsetCommitRequest {
        group_id: world.name(args.word(0)),
        generation_id_or_member_epoch: args.number("generation", -1),
        member_id: world.member(args.option("member").unwrap_or("")),
        group_instance_id: args.option("instance").map(str::to_owned),
        retention_time_ms: -1,
        topics: vec![topic],
    };
    let code = |response: &<OffsetCommitRequest as Request>::Response| {
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.next().map_or(ErrorCode::NONE, |partition| partition.error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let mut lines = Vec::new();
    for topic in &response.topics {
        let named = if by_id { world.show_id(topic.topic_id) } else { world.alias(&topic.name) };
        for partition in &topic.partitions {
            let error = show_error(partition.error_code);
            lines.push(format!("{named}-{} {error}", partition.partition_index));
        }
    }
    Ok(lines)
}

/// One partition's answer, of either shape.
struct Line {
    topic: String,
    partition: i32,
    offset: i64,
    epoch: i32,
    metadata: Option<String>,
    code: ErrorCode,
}

impl Line {
    fn show(&self) -> String {
        let error = show_error(self.code);
        let metadata = self.metadata.as_deref().unwrap_or("~");
        let Self { topic, partition, offset, epoch, .. } = self;
        format!("  {topic}-{partition} {error} offset={offset} epoch={epoch} metadata={metadata}")
    }
}

/// `committed GROUP TOPIC PARTITIONS`, or `committed GROUP` for all: `stable member= epoch=`.
pub(super) async fn fetch(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let by_id = version >= BY_ID;
    let words: Vec<&String> = args.words().iter().filter(|word| *word != "stable").collect();
    let partitions = |index: usize| -> Vec<i32> { words[index].split(',').map(parse).collect() };
    let topics = (words.len() > 1).then(|| {
        vec![OffsetFetchRequestTopics {
            name: if by_id { String::new() } else { world.name(words[1]) },
            topic_id: if by_id { world.topic_id(words[1]) } else { Uuid::ZERO },
            partition_indexes: partitions(2),
        }]
    });
    let group_id = world.name(words[0]);
    let mut request = OffsetFetchRequest {
        require_stable: version >= 7 && args.flag("stable"),
        ..OffsetFetchRequest::default()
    };
    let (member, epoch) = (args.option("member"), args.number("epoch", -1));
    if version >= MANY_GROUPS {
        request.groups = vec![OffsetFetchRequestGroup {
            group_id,
            member_id: member.filter(|_| version >= 9).map(|member| world.member(member)),
            member_epoch: if version >= 9 { epoch } else { -1 },
            topics,
        }];
    } else {
        request.group_id = group_id;
        request.topics = topics.map(|topics| {
            let one = |topic: OffsetFetchRequestTopics| OffsetFetchRequestTopic {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
            };
            topics.into_iter().map(one).collect()
        });
    }
    let code = |response: &<OffsetFetchRequest as Request>::Response| {
        response.groups.first().map_or(response.error_code, |group| group.error_code)
    };
    let response = ask(world, &request, version, code).await?;
    let mut told = vec![show_error(code(&response))];
    let mut lines: Vec<String> = lines_of(&response, by_id, world).iter().map(Line::show).collect();
    lines.sort();
    told.extend(lines);
    Ok(told)
}

fn lines_of(
    response: &<OffsetFetchRequest as Request>::Response,
    by_id: bool,
    world: &World,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for topic in &response.topics {
        lines.extend(topic.partitions.iter().map(|partition| Line {
            topic: world.alias(&topic.name),
            partition: partition.partition_index,
            offset: partition.committed_offset,
            epoch: partition.committed_leader_epoch,
            metadata: partition.metadata.clone(),
            code: partition.error_code,
        }));
    }
    for topic in response.groups.iter().flat_map(|group| &group.topics) {
        lines.extend(topic.partitions.iter().map(|partition| Line {
            topic: if by_id { world.show_id(topic.topic_id) } else { world.alias(&topic.name) },
            partition: partition.partition_index,
            offset: partition.committed_offset,
            epoch: partition.committed_leader_epoch,
            metadata: partition.metadata.clone(),
            code: partition.error_code,
        }));
    }
    lines
}

/// `delete-offsets GROUP TOPIC PARTITIONS`.
pub(super) async fn delete(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let partitions = args
        .word(2)
        .split(',')
        .map(|index| OffsetDeleteRequestPartition { partition_index: parse(index) });
    let request = OffsetDeleteRequest {
        group_id: world.name(args.word(0)),
        topics: vec![OffsetDeleteRequestTopic {
            name: world.name(args.word(1)),
            partitions: partitions.collect(),
        }],
    };
    let response = ask(world, &request, version, |response| response.error_code).await?;
    let mut lines = vec![show_error(response.error_code)];
    for topic in &response.topics {
        for partition in &topic.partitions {
            let error = show_error(partition.error_code);
            let alias = world.alias(&topic.name);
            lines.push(format!("  {alias}-{} {error}", partition.partition_index));
        }
    }
    lines.sort();
    Ok(lines)
}
