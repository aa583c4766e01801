//! `log` and `await-gone`: a whole log, however many fetches that takes. Kafka ends each at the end
//! of a segment, and which segments compaction makes is nobody's business.

use std::collections::BTreeSet;

use bytes::Bytes;
use farlog_wire::Uuid;
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::records::{batches, next_fetch};
use tokio::time::sleep;

use crate::differential::batch::show_batches;
use crate::differential::script::Args;
use crate::differential::world::{LOOK_AGAIN, World};
use crate::peer::NoAnswer;

/// How often is looked before the log is taken as it is.
const TIMES_MAX: u32 = 5_000;

/// The last one that names topics.
const VERSION: i16 = 12;

/// What a log holds.
#[derive(Default)]
struct Read {
    records: Vec<Bytes>,
    /// First offsets.
    aborted: BTreeSet<i64>,
}

/// Everything from an offset on.
async fn read(world: &mut World, args: &Args, mut offset: i64) -> Result<Read, NoAnswer> {
    let mut read = Read::default();
    loop {
        let partition = FetchPartition {
            partition: args.number_at(1),
            current_leader_epoch: -1,
            fetch_offset: offset,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        };
        let (topic, partitions) = (world.name(args.word(0)), vec![partition]);
        let request = FetchRequest {
            replica_id: -1,
            max_bytes: i32::MAX,
            isolation_level: i8::from(args.flag("committed")),
            session_epoch: -1,
            topics: vec![FetchTopic { topic, topic_id: Uuid::ZERO, partitions }],
            ..FetchRequest::default()
        };
        let response = world.peer.call(&request, VERSION).await?;
        let partitions = response.responses.into_iter().flat_map(|topic| topic.partitions);
        let partition = partitions.into_iter().next().expect("the partition asked for");
        let aborted = partition.aborted_transactions.unwrap_or_default();
        read.aborted.extend(aborted.iter().map(|aborted| aborted.first_offset));
        let records = partition.records.unwrap_or_default();
        match next_fetch(&records).expect("batches as brokers store them") {
            Some(next) => offset = next.offset,
            None => return Ok(read),
        }
        read.records.push(records);
    }
}

/// `log TOPIC PARTITION OFFSET`: everything from there on; `committed` for committed readers.
pub(super) async fn log(world: &mut World, args: &Args) -> Result<Vec<String>, NoAnswer> {
    let read = read(world, args, args.number_at(2)).await?;
    let mut lines = vec![format!("aborted={:?}", read.aborted)];
    for records in read.records {
        lines.extend(show_batches(&records, world));
    }
    Ok(lines)
}

/// `await-gone TOPIC PARTITION OFFSET`: until the log has no such record any more; it begins at
/// `from=`.
pub(super) async fn await_gone(world: &mut World, args: &Args) -> Result<Vec<String>, NoAnswer> {
    let offset: i64 = args.number_at(2);
    for _ in 0..TIMES_MAX {
        let read = read(world, args, args.number("from", 0)).await?;
        let is_there = read.records.into_iter().flat_map(batches).any(|batch| {
            let batch = batch.expect("a batch as brokers store them");
            let plain = batch.decompressed(1 << 20).expect("it decompresses");
            plain
                .records()
                .expect("records")
                .any(|record| record.expect("a record as brokers store them").offset == offset)
        });
        if !is_there {
            return Ok(vec![format!("offset {offset} is gone")]);
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(vec![format!("offset {offset} is still there")])
}
