//! What steps do: each sends a request and tells the answer in lines.

mod cleaned;
mod cluster;
mod committed;
mod configs;
mod consumers;
mod groups;
mod offsets;
mod quotas;
mod records;
mod security;
mod topics;
mod transactions;

use farlog_wire::ApiKey;

use super::script::Args;
use super::world::World;
use crate::peer::NoAnswer;
use security::{ALLOW, DENY};

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
        "find" => ApiKey::FindCoordinator,
        "add-partitions" => ApiKey::AddPartitionsToTxn,
        "add-offsets" => ApiKey::AddOffsetsToTxn,
        "end" => ApiKey::EndTxn,
        "commit-in" => ApiKey::TxnOffsetCommit,
        "markers" => ApiKey::WriteTxnMarkers,
        "transaction" => ApiKey::DescribeTransactions,
        "transactions" => ApiKey::ListTransactions,
        "join-group" => ApiKey::JoinGroup,
        "sync" => ApiKey::SyncGroup,
        "heartbeat" => ApiKey::Heartbeat,
        "leave" => ApiKey::LeaveGroup,
        "commit" => ApiKey::OffsetCommit,
        "committed" => ApiKey::OffsetFetch,
        "delete-offsets" => ApiKey::OffsetDelete,
        "groups" => ApiKey::ListGroups,
        "group" => ApiKey::DescribeGroups,
        "delete-groups" => ApiKey::DeleteGroups,
        "consumer" => ApiKey::ConsumerGroupHeartbeat,
        "consumer-group" => ApiKey::ConsumerGroupDescribe,
        "allow" | "deny" => ApiKey::CreateAcls,
        "acls" => ApiKey::DescribeAcls,
        "remove-acls" => ApiKey::DeleteAcls,
        "quota" => ApiKey::AlterClientQuotas,
        "quotas" => ApiKey::DescribeClientQuotas,
        "scram" => ApiKey::AlterUserScramCredentials,
        "scram-users" => ApiKey::DescribeUserScramCredentials,
        "handshake" => ApiKey::SaslHandshake,
        "authenticate" => ApiKey::SaslAuthenticate,
        "raw" | "join" | "log" | "await-gone" | "login" | "logout" => return None,
        other => panic!("no step is called {other}"),
    })
}

/// Does a step in one version of its API.
pub(super) async fn run(world: &mut World, args: &Args, version: i16) -> Vec<String> {
    let done = match args.command.as_str() {
        "produce" => records::produce(world, args, version).await,
        "await-gone" => cleaned::await_gone(world, args).await,
        "log" => cleaned::log(world, args).await,
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
        "find" => transactions::find(world, args, version).await,
        "add-partitions" => transactions::add_partitions(world, args, version).await,
        "add-offsets" => transactions::add_offsets(world, args, version).await,
        "end" => transactions::end(world, args, version).await,
        "commit-in" => transactions::commit(world, args, version).await,
        "markers" => transactions::markers(world, args, version).await,
        "transaction" => transactions::describe(world, args, version).await,
        "transactions" => transactions::list(world, args, version).await,
        "join-group" => groups::join(world, args, version).await,
        "sync" => groups::sync(world, args, version).await,
        "heartbeat" => groups::heartbeat(world, args, version).await,
        "leave" => groups::leave(world, args, version).await,
        "groups" => groups::list(world, args, version).await,
        "group" => groups::describe(world, args, version).await,
        "delete-groups" => groups::delete(world, args, version).await,
        "consumer" => consumers::heartbeat(world, args, version).await,
        "consumer-group" => consumers::describe(world, args, version).await,
        "commit" => committed::commit(world, args, version).await,
        "committed" => committed::fetch(world, args, version).await,
        "delete-offsets" => committed::delete(world, args, version).await,
        "login" | "logout" => security::log_in(world, args),
        "allow" => security::create(world, args, version, ALLOW).await,
        "deny" => security::create(world, args, version, DENY).await,
        "acls" => security::describe(world, args, version).await,
        "remove-acls" => security::remove(world, args, version).await,
        "quota" => quotas::alter(world, args, version).await,
        "quotas" => quotas::describe(world, args, version).await,
        "scram" => security::alter_scram(world, args, version).await,
        "scram-users" => security::describe_scram(world, args, version).await,
        "handshake" => security::handshake(world, args, version).await,
        "authenticate" => security::authenticate(world, args, version).await,
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
