//! What a topic may be called, and how many partitions it may have.

use farlog_wire::ErrorCode;

use super::Refusal;
use crate::limits::{PARTITIONS_PER_TOPIC_MAX, TOPIC_NAME_MAX};

/// Kafka's rules for topic names (`org.apache.kafka.common.internals.Topic`).
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
    if name.is_empty() {
        return refuse("Topic name is invalid: the empty string is not allowed".to_owned());
    }
    if name == "." || name == ".." {
        return refuse("Topic name is invalid: '.' or '..' is not allowed".to_owned());
    }
    if name.len() > TOPIC_NAME_MAX {
        return refuse(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length \
             {TOPIC_NAME_MAX}"
        ));
    }
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if !name.chars().all(legal) {
        return refuse(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'"
        ));
    }
    Ok(())
}

pub(super) fn check_partitions(partitions: i32) -> Result<(), Refusal> {
    if (1..=PARTITIONS_PER_TOPIC_MAX).contains(&partitions) {
        return Ok(());
    }
    let message = format!("Number of partitions must be from 1 to {PARTITIONS_PER_TOPIC_MAX}.");
    Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message))
}

/// Metric names turn dots into underscores, so Kafka refuses names that differ in those alone.
pub(super) fn collide(one: &str, other: &str) -> bool {
    one == other || one.replace('.', "_") == other.replace('.', "_")
}

pub(super) fn exists(name: &str, other: &str) -> Refusal {
    if name == other {
        let message = format!("Topic '{name}' already exists.");
        return Refusal::new(ErrorCode::TOPIC_ALREADY_EXISTS, message);
    }
    let message = format!("Topic '{name}' collides with existing topic: {other}");
    Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message)
}
