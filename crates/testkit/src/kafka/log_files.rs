//! A partition's files, cut by hand: what a broker that lost its tail looks like.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cluster::KafkaCluster;
use super::node::{Broker, KafkaError};

/// A batch starts with its base offset (8 bytes) and the length of the rest (4 bytes)…
const LENGTH_AT: usize = 8;
const LENGTH_END: usize = 12;
/// …and, in format 2, has the magic byte and the last offset's distance to the base offset here.
const MAGIC_AT: usize = 16;
const LAST_OFFSET_DELTA_AT: usize = 23;
const HEADER_BYTES: usize = 61;

/// What [`Broker::truncate_log`] left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// The batches that are still there.
    pub kept_batches: usize,
    /// The batches that are gone.
    pub removed_batches: usize,
    /// The offset the log now ends before: the next record gets it.
    pub end_offset: i64,
}

/// One segment and where its batches end.
struct Segment {
    path: PathBuf,
    base_offset: i64,
    /// For each batch: the position after it and the offset after it.
    ends: Vec<(u64, i64)>,
}

impl Broker {
    /// Cuts a partition's log after its first `keep_batches` batches, as if the broker had never
    /// got the rest, and removes the files that would tell otherwise (indexes, producer
    /// snapshots, the mark of a clean shutdown). On its next start the broker recovers the shorter
    /// log, and leads under a new epoch; on 3.9 only if its controller
    /// [stands apart](super::KafkaOptions::controller_apart), else the log grows again under the
    /// old epoch.
    ///
    /// # Errors
    /// When the broker runs, has no such partition, or finds something in it that is no batch.
    pub fn truncate_log(
        &self,
        topic: &str,
        partition: i32,
        keep_batches: usize,
    ) -> Result<Truncated, KafkaError> {
        if self.pid().is_some() {
            return Err(self.wrong_state("running"));
        }
        let fail = |what: String| KafkaError::Log { topic: topic.to_owned(), partition, what };
        let directory = self.log_dir().join(format!("{topic}-{partition}"));
        let segments = segments(&directory).map_err(fail)?;
        let truncated = cut(&segments, keep_batches)
            .and_then(|truncated| {
                remove_traces(&directory)?;
                Ok(truncated)
            })
            .map_err(|error| fail(error.to_string()))?;
        match fs::remove_file(self.log_dir().join(".kafka_cleanshutdown")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail(error.to_string())),
            _ => Ok(truncated),
        }
    }

    /// Whether it has a replica of the partition.
    pub fn has_partition(&self, topic: &str, partition: i32) -> bool {
        self.log_dir().join(format!("{topic}-{partition}")).is_dir()
    }
}

impl KafkaCluster {
    /// [`Broker::truncate_log`] on every broker that has a replica; all must be down.
    ///
    /// # Errors
    /// Those of [`Broker::truncate_log`], also when no broker has a replica.
    pub fn truncate_log(
        &self,
        topic: &str,
        partition: i32,
        keep_batches: usize,
    ) -> Result<Truncated, KafkaError> {
        let mut last = None;
        for broker in self.brokers().filter(|broker| broker.has_partition(topic, partition)) {
            last = Some(broker.truncate_log(topic, partition, keep_batches)?);
        }
        last.ok_or_else(|| KafkaError::Log {
            topic: topic.to_owned(),
            partition,
            what: "no broker has a replica".to_owned(),
        })
    }
}

/// The segments of a partition, in order, with the boundaries of their batches.
fn segments(directory: &Path) -> Result<Vec<Segment>, String> {
    let entries =
        fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let base_offset = name.parse().map_err(|_| format!("{} is no segment", path.display()))?;
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let ends = batch_ends(&bytes).map_err(|what| format!("{}: {what}", path.display()))?;
        segments.push(Segment { path, base_offset, ends });
    }
    segments.sort_by_key(|segment| segment.base_offset);
    Ok(segments)
}

/// Where each whole batch ends, as position and as offset.
fn batch_ends(segment: &[u8]) -> Result<Vec<(u64, i64)>, String> {
    let mut ends = Vec::new();
    let mut position = 0;
    loop {
        let rest = &segment[position..];
        // A killed broker may leave zeros or half a batch at the end; so would its recovery find.
        let Some(header) = rest.get(..HEADER_BYTES) else { return Ok(ends) };
        if header[LENGTH_AT..=MAGIC_AT].iter().all(|&byte| byte == 0) {
            return Ok(ends);
        }
        if header[MAGIC_AT] != 2 {
            return Err(format!("magic {} at position {position}", header[MAGIC_AT]));
        }
        let base_offset = i64::from_be_bytes(field(header, 0));
        let length = u32::from_be_bytes(field(header, LENGTH_AT)) as usize;
        let last_delta = i32::from_be_bytes(field(header, LAST_OFFSET_DELTA_AT));
        if rest.len() < LENGTH_END + length {
            return Ok(ends);
        }
        position += LENGTH_END + length;
        ends.push((position as u64, base_offset + i64::from(last_delta) + 1));
    }
}

fn field<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("the fields are inside the header")
}

/// Shortens the segment in which the cut is, and removes those after it.
fn cut(segments: &[Segment], keep_batches: usize) -> io::Result<Truncated> {
    let all: usize = segments.iter().map(|segment| segment.ends.len()).sum();
    let first_offset = segments.first().map_or(0, |segment| segment.base_offset);
    let mut end_offset = first_offset;
    let mut left = keep_batches.min(all);
    let mut reached = false;
    for segment in segments {
        if reached {
            fs::remove_file(&segment.path)?;
            continue;
        }
        let kept = left.min(segment.ends.len());
        left -= kept;
        let (position, offset) = match kept.checked_sub(1) {
            Some(last) => segment.ends[last],
            None => (0, segment.base_offset),
        };
        end_offset = offset;
        reached = left == 0;
        fs::OpenOptions::new().write(true).open(&segment.path)?.set_len(position)?;
    }
    let kept_batches = keep_batches.min(all);
    Ok(Truncated { kept_batches, removed_batches: all - kept_batches, end_offset })
}

/// Removes what the broker rebuilds from the log on recovery.
fn remove_traces(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if ["index", "timeindex", "txnindex", "snapshot"].contains(&extension.as_str()) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    /// A batch as far as this file looks at it.
    fn batch(base_offset: i64, records: i32) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES + 9];
        let length = u32::try_from(bytes.len() - LENGTH_END).unwrap();
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[MAGIC_AT] = 2;
        bytes[23..27].copy_from_slice(&(records - 1).to_be_bytes());
        bytes
    }

    fn partition() -> Scratch {
        let scratch = Scratch::new("log").unwrap();
        let first = [batch(0, 10), batch(10, 5)].concat();
        let second = [batch(15, 1), batch(20, 3), batch(23, 2), vec![0; 500]].concat();
        fs::write(scratch.join("00000000000000000000.log"), first).unwrap();
        fs::write(scratch.join("00000000000000000015.log"), second).unwrap();
        for name in ["00000000000000000015.index", "00000000000000000015.snapshot"] {
            fs::write(scratch.join(name), "x").unwrap();
        }
        fs::write(scratch.join("partition.metadata"), "x").unwrap();
        scratch
    }

    fn check(keep_batches: usize, expected: (usize, i64), sizes: [Option<u64>; 2]) {
        let scratch = partition();
        let truncated = cut(&segments(scratch.path()).unwrap(), keep_batches).unwrap();
        remove_traces(scratch.path()).unwrap();
        assert_eq!((truncated.removed_batches, truncated.end_offset), expected);
        let size = |name| fs::metadata(scratch.join(name)).ok().map(|file| file.len());
        assert_eq!(
            [size("00000000000000000000.log"), size("00000000000000000015.log")],
            sizes,
            "after keeping {keep_batches}"
        );
        assert_eq!(size("00000000000000000015.index"), None);
        assert_eq!(size("00000000000000000015.snapshot"), None);
        assert_eq!(size("partition.metadata"), Some(1));
    }

    #[test]
    fn cuts_at_batch_boundaries() {
        check(0, (5, 0), [Some(0), None]);
        check(1, (4, 10), [Some(70), None]);
        check(2, (3, 15), [Some(140), None]);
        check(3, (2, 16), [Some(140), Some(70)]);
        check(4, (1, 23), [Some(140), Some(140)]);
        check(5, (0, 25), [Some(140), Some(210)]);
        check(9, (0, 25), [Some(140), Some(210)]);
    }

    #[test]
    fn older_formats_are_named() {
        let mut old = batch(0, 1);
        old[MAGIC_AT] = 1;
        assert_eq!(batch_ends(&old).unwrap_err(), "magic 1 at position 0");
    }
}
