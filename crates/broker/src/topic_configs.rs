//! The configs of a topic: which there are, what they may be, what they default to.
//!
//! Source: Kafka 4.3 documentation, "Topic configs". Those that only concern replicas are accepted
//! and described, and change nothing: there is one copy.

use std::collections::BTreeMap;

use farlog_wire::ErrorCode;
use farlog_wire::records::Compression;

use crate::catalog::Refusal;
use crate::partition::{CompactionRules, SegmentRules};

/// What kind of value a config has; the codes are those of DescribeConfigs (KIP-569).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Text,
    Int,
    Long,
    Double,
    List,
}

/// One config that a topic may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    check: Check,
}

#[derive(Clone, Copy, Debug)]
enum Check {
    /// A whole number from the first to the second.
    Between(i64, i64),
    /// A fraction from 0 to 1.
    Fraction,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Some of these, separated by commas.
    SomeOf(&'static [&'static str]),
    /// Anything: it has no effect here.
    Free,
}

const INT_MAX: i64 = i32::MAX as i64;
const BOOLEANS: Check = Check::OneOf(&["true", "false"]);

/// All of them, by name.
const DEFINITIONS: &[Definition] = &[
    define("cleanup.policy", Kind::List, "delete", Check::SomeOf(&["delete", "compact"])),
    define(
        "compression.type",
        Kind::Text,
        "producer",
        Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    ),
    define("delete.retention.ms", Kind::Long, "86400000", Check::Between(0, i64::MAX)),
    // Ours: see docs/broker.md.
    define("farlog.offsets", Kind::Text, "assigned", Check::OneOf(&["assigned", "given"])),
    define("file.delete.delay.ms", Kind::Long, "60000", Check::Between(0, i64::MAX)),
    define("flush.messages", Kind::Long, "9223372036854775807", Check::Between(1, i64::MAX)),
    define("flush.ms", Kind::Long, "9223372036854775807", Check::Between(0, i64::MAX)),
    define("follower.replication.throttled.replicas", Kind::List, "", Check::Free),
    define("index.interval.bytes", Kind::Int, "4096", Check::Between(0, INT_MAX)),
    define("leader.replication.throttled.replicas", Kind::List, "", Check::Free),
    define("max.compaction.lag.ms", Kind::Long, "9223372036854775807", Check::Between(1, i64::MAX)),
    define("max.message.bytes", Kind::Int, "1048588", Check::Between(0, INT_MAX)),
    define("message.timestamp.after.max.ms", Kind::Long, "3600000", Check::Between(0, i64::MAX)),
    define(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Check::Between(0, i64::MAX),
    ),
    define(
        "message.timestamp.type",
        Kind::Text,
        "CreateTime",
        Check::OneOf(&["CreateTime", "LogAppendTime"]),
    ),
    define("min.cleanable.dirty.ratio", Kind::Double, "0.5", Check::Fraction),
    define("min.compaction.lag.ms", Kind::Long, "0", Check::Between(0, i64::MAX)),
    define("min.insync.replicas", Kind::Int, "1", Check::Between(1, INT_MAX)),
    define("preallocate", Kind::Boolean, "false", BOOLEANS),
    define("retention.bytes", Kind::Long, "-1", Check::Between(-1, i64::MAX)),
    define("retention.ms", Kind::Long, "604800000", Check::Between(-1, i64::MAX)),
    define("segment.bytes", Kind::Int, "1073741824", Check::Between(1_048_576, INT_MAX)),
    define("segment.index.bytes", Kind::Int, "10485760", Check::Between(4, INT_MAX)),
    define("segment.jitter.ms", Kind::Long, "0", Check::Between(0, i64::MAX)),
    define("segment.ms", Kind::Long, "604800000", Check::Between(1, i64::MAX)),
    define("unclean.leader.election.enable", Kind::Boolean, "false", BOOLEANS),
];

const fn define(name: &'static str, kind: Kind, default: &'static str, check: Check) -> Definition {
    Definition { name, kind, default, check }
}

/// Who stamps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// Who says where a batch comes to lie (`farlog.offsets`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offsets {
    /// The broker: at the end of the log, as Kafka has it.
    Assigned,
    /// Who produces: at the batch's base offset, behind the end of the log or further on. What lies
    /// between stays empty.
    Given,
}

/// The configs of one topic, with what the broker asks on every append ready at hand.
#[derive(Clone, Debug)]
pub(crate) struct TopicConfigs {
    set: BTreeMap<String, String>,
    pub(crate) max_message_bytes: usize,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) offsets: Offsets,
    pub(crate) is_compacted: bool,
    pub(crate) is_deleted: bool,
    /// How batches are kept; `None` as they come.
    pub(crate) compression: Option<Compression>,
    pub(crate) segment_rules: SegmentRules,
    pub(crate) compaction_rules: CompactionRules,
}

impl Kind {
    /// The code in DescribeConfigs.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Text => 2,
            Self::Int => 3,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }
}

impl Definition {
    /// The broker's setting that the default comes from (KIP-226); none where Kafka's broker has no
    /// value of its own.
    pub(crate) fn broker_name(&self) -> Option<&'static str> {
        Some(match self.name {
            "cleanup.policy" => "log.cleanup.policy",
            "delete.retention.ms" => "log.cleaner.delete.retention.ms",
            "file.delete.delay.ms" => "log.segment.delete.delay.ms",
            "flush.messages" => "log.flush.interval.messages",
            "index.interval.bytes" => "log.index.interval.bytes",
            "max.compaction.lag.ms" => "log.cleaner.max.compaction.lag.ms",
            "max.message.bytes" => "message.max.bytes",
            "message.timestamp.after.max.ms" => "log.message.timestamp.after.max.ms",
            "message.timestamp.before.max.ms" => "log.message.timestamp.before.max.ms",
            "message.timestamp.type" => "log.message.timestamp.type",
            "min.cleanable.dirty.ratio" => "log.cleaner.min.cleanable.ratio",
            "min.compaction.lag.ms" => "log.cleaner.min.compaction.lag.ms",
            "preallocate" => "log.preallocate",
            "retention.bytes" => "log.retention.bytes",
            "segment.bytes" => "log.segment.bytes",
            "segment.index.bytes" => "log.index.size.max.bytes",
            "compression.type" | "min.insync.replicas" | "unclean.leader.election.enable" => {
                self.name
            }
            _ => return None,
        })
    }

    fn check(&self, value: &str) -> Result<(), Refusal> {
        let fits = match self.check {
            Check::Between(min, max) => {
                value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number))
            }
            Check::Fraction => {
                value.parse::<f64>().is_ok_and(|number| (0.0..=1.0).contains(&number))
            }
            Check::OneOf(words) => words.contains(&value),
            Check::SomeOf(words) => list(value).all(|word| words.contains(&word)),
            Check::Free => true,
        };
        if fits {
            return Ok(());
        }
        let allowed = match self.check {
            Check::Between(min, max) => format!("a whole number from {min} to {max}"),
            Check::Fraction => "a number from 0 to 1".to_owned(),
            Check::OneOf(words) => format!("one of {}", words.join(", ")),
            Check::SomeOf(words) => format!("a list of some of {}", words.join(", ")),
            Check::Free => "anything".to_owned(),
        };
        let name = self.name;
        let message = format!("Invalid value {value} for configuration {name}: must be {allowed}");
        Err(Refusal::new(ErrorCode::INVALID_CONFIG, message))
    }
}

/// The definition of a config.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

/// The words of a list, as Kafka splits them.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty())
}

impl TopicConfigs {
    /// Configs from a client, refused if one is unknown or has a value that it cannot have.
    pub(crate) fn checked(set: BTreeMap<String, String>) -> Result<Self, Refusal> {
        for (name, value) in &set {
            let definition = definition(name).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::INVALID_CONFIG,
                    format!("Unknown topic config name: {name}"),
                )
            })?;
            definition.check(value)?;
        }
        Ok(Self::of(set))
    }

    /// Configs that were checked before.
    pub(crate) fn of(set: BTreeMap<String, String>) -> Self {
        let number = |name: &str| value_of(&set, name).parse::<i64>().unwrap_or(i64::MAX);
        let timestamp_type = match value_of(&set, "message.timestamp.type") {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        };
        let policy = |wanted| list(value_of(&set, "cleanup.policy")).any(|word| word == wanted);
        let codec = match value_of(&set, "compression.type") {
            "uncompressed" => Some(Compression::None),
            name => Compression::ALL.into_iter().find(|codec| codec.name() == name),
        };
        Self {
            max_message_bytes: usize::try_from(number("max.message.bytes")).unwrap_or(usize::MAX),
            timestamp_type,
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            offsets: match value_of(&set, "farlog.offsets") {
                "given" => Offsets::Given,
                _ => Offsets::Assigned,
            },
            is_compacted: policy("compact"),
            is_deleted: policy("delete"),
            compression: codec,
            segment_rules: SegmentRules {
                bytes: number("segment.bytes").unsigned_abs(),
                ms: match policy("compact") {
                    true => number("segment.ms").min(number("max.compaction.lag.ms")),
                    false => number("segment.ms"),
                },
            },
            compaction_rules: CompactionRules {
                dirty_ratio_min: value_of(&set, "min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
                lag_min_ms: number("min.compaction.lag.ms"),
                lag_max_ms: number("max.compaction.lag.ms"),
                delete_retention_ms: number("delete.retention.ms"),
            },
            set,
        }
    }

    /// What was set on the topic itself.
    pub(crate) fn set(&self) -> &BTreeMap<String, String> {
        &self.set
    }

    /// The configs to describe: Kafka's, and of ours those that are set.
    pub(crate) fn described(&self) -> impl Iterator<Item = &'static Definition> {
        let is_shown = |definition: &&Definition| {
            !definition.name.starts_with("farlog.") || self.set.contains_key(definition.name)
        };
        DEFINITIONS.iter().filter(is_shown)
    }

    /// The value in force.
    pub(crate) fn value(&self, name: &str) -> &str {
        value_of(&self.set, name)
    }
}

fn value_of<'a>(set: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    match set.get(name) {
        Some(value) => value,
        None => definition(name).map_or("", |definition| definition.default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pairs: &[(&str, &str)]) -> Result<TopicConfigs, Refusal> {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        TopicConfigs::checked(pairs.collect())
    }

    #[test]
    fn every_default_is_a_value_that_may_be_set() {
        for definition in DEFINITIONS {
            assert_eq!(definition.check(definition.default), Ok(()), "{}", definition.name);
        }
        assert!(DEFINITIONS.is_sorted_by_key(|definition| definition.name));
    }

    #[test]
    fn unknown_names_and_impossible_values_are_refused() {
        assert_eq!(checked(&[("no.such", "1")]).unwrap_err().code, ErrorCode::INVALID_CONFIG);
        assert!(checked(&[("retention.ms", "-2")]).is_err());
        assert!(checked(&[("cleanup.policy", "compact, delete")]).unwrap().is_compacted);
        assert!(checked(&[("cleanup.policy", "shred")]).is_err());
        let configs = checked(&[("message.timestamp.type", "LogAppendTime")]).unwrap();
        assert_eq!(configs.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(configs.value("retention.ms"), "604800000");
    }
}
