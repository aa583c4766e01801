//! What steps do: each sends a request and tells the answer in lines.

mod cluster;
mod configs;
mod offsets;
mod records;
mod topics;

use farlog_wire::ApiKey;

use super::peer::NoAnswer;
use super::script::Args;
use super::world::World;

/// The API that a command speaks; `None` if it speaks none.
pub(super) fn api_of(command: &str) -> Option<ApiKey> {
    Some(match command {
        "produce" => ApiKey::Produce,
        "fetch" => ApiKey::Fetch,
        "list-offsets" => ApiKey::ListOffsets,
        "metadata" => ApiKey::Metadata,
        "api-versions" => ApiKey::ApiVersions,
        "create" => ApiKey::CreateTopics,
        "delete" => ApiKey::DeleteTopics,
        "delete-records" => ApiKey::DeleteRecords,
        "init-producer" => ApiKey::InitProducerId,
        "epoch-end" => ApiKey::OffsetForLeaderEpoch,
        "configs" => ApiKey::DescribeConfigs,
        "partitions" => ApiKey::CreatePartitions,
        "alter" => ApiKey::IncrementalAlterConfigs,
        "replace-configs" => ApiKey::AlterConfigs,
        "cluster" => ApiKey::DescribeCluster,
        "producers" => ApiKey::DescribeProducers,
        "log-dirs" => ApiKey::DescribeLogDirs,
        "elect" => ApiKey::ElectLeaders,
        "raw" | "join" => return None,
        other => panic!("no step is called {other}"),
    })
}

/// Does a step in one version of its API.
pub(super) async fn run(world: &mut World, args: &Args, version: i16) -> Vec<String> {
    let done = match args.command.as_str() {
        "produce" => records::produce(world, args, version).await,
        "fetch" => records::fetch(world, args, version).await,
        "list-offsets" => offsets::list(world, args, version).await,
        "delete-records" => offsets::delete(world, args, version).await,
        "epoch-end" => offsets::epoch_end(world, args, version).await,
        "producers" => offsets::producers(world, args, version).await,
        "metadata" => cluster::metadata(world, args, version).await,
        "api-versions" => cluster::api_versions(world, args, version).await,
        "init-producer" => cluster::init_producer(world, args, version).await,
        "cluster" => cluster::describe(world, args, version).await,
        "log-dirs" => cluster::log_dirs(world, args, version).await,
        "elect" => cluster::elect_leaders(world, args, version).await,
        "raw" => cluster::raw(world, args).await,
        "create" => topics::create(world, args, version).await,
        "delete" => topics::delete(world, args, version).await,
        "partitions" => topics::grow(world, args, version).await,
        "configs" => configs::describe(world, args, version).await,
        "alter" => configs::alter(world, args, version).await,
        "replace-configs" => configs::replace(world, args, version).await,
        other => panic!("no step is called {other}"),
    };
    args.check_all_used();
    match done {
        Ok(lines) => lines,
        Err(no_answer @ NoAnswer::Decode(_)) => panic!("{}: {no_answer}", args.command),
        Err(no_answer) => vec![no_answer.to_string()],
    }
}
