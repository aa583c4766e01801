//! DescribeLogDirs, versions 1 to 5 (KIP-113, KIP-827).
//!
//! - One directory, named for the store; how large that is, and how full, is not known (-1).

use farlog_wire::VersionRange;
use farlog_wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use farlog_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

use super::RequestContext;
use crate::catalog::Topic;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 5 };

/// What stands for a path: the store may be none.
const DIRECTORY: &str = "/store";

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let catalog = &context.broker.catalog;
    let mut topics = Vec::new();
    match request.topics {
        None => topics.extend(catalog.topics().iter().map(|topic| described(topic, None))),
        Some(wanted) => {
            for wanted in wanted {
                let topic = catalog.topic(&wanted.topic);
                topics.extend(topic.map(|topic| described(&topic, Some(&wanted.partitions))));
            }
        }
    }
    topics.retain(|topic| !topic.partitions.is_empty());
    let result = DescribeLogDirsResult {
        log_dir: DIRECTORY.to_owned(),
        topics,
        ..DescribeLogDirsResult::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..DescribeLogDirsResponse::default() }
}

fn described(topic: &Topic, wanted: Option<&[i32]>) -> DescribeLogDirsTopic {
    let partitions = (0..).zip(&topic.partitions);
    let partitions =
        partitions.filter(|(index, _)| wanted.is_none_or(|wanted| wanted.contains(index)));
    let partitions = partitions.map(|(partition_index, partition)| DescribeLogDirsPartition {
        partition_index,
        partition_size: i64::try_from(partition.size_bytes()).unwrap_or(i64::MAX),
        offset_lag: 0,
        is_future_key: false,
    });
    DescribeLogDirsTopic { name: topic.name.clone(), partitions: partitions.collect() }
}
