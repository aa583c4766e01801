//! What a client sent, checked as Kafka checks it (`UnifiedLog.analyzeAndValidateRecords`,
//! `LogValidator`), and as it will be stored.

use bytes::Bytes;
use farlog_wire::ErrorCode;
use farlog_wire::records::compression::{compress, decompress};
use farlog_wire::records::{
    Attributes, BATCH_HEADER_BYTES, BatchError, BatchHeader, Compression, RawBatch,
};

use super::AppendOrigin;
use super::frames::frames;
use super::seal::sealed;
use crate::catalog::Refusal;
use crate::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use crate::topic_configs::{Offsets, TimestampType, TopicConfigs};

const LOG_APPEND_TIME: i16 = 0x08;

/// Why a batch is not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppendRefusal {
    /// Kafka's code.
    pub(crate) code: ErrorCode,
    /// A sentence for people.
    pub(crate) message: Option<String>,
    /// Which records of the batch are at fault (KIP-467); none if it is the batch itself.
    pub(crate) wrong_records: Vec<i32>,
    /// Where the log begins, which Kafka tells with most refusals; -1 with the others.
    pub(crate) log_start_offset: i64,
}

/// A batch that may be appended, as it will be stored but for its offset and leader epoch.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) header: BatchHeader,
    pub(super) bytes: Vec<u8>,
    /// -1 where the topic keeps the producer's timestamps.
    pub(super) log_append_time_ms: i64,
}

/// What the records of a batch say together.
#[derive(Clone, Copy, Debug)]
struct Times {
    max_timestamp: i64,
}

impl AppendRefusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = Some(message.into());
        Self { code, message, wrong_records: Vec::new(), log_start_offset: -1 }
    }

    /// The same, with where the log begins if Kafka tells it with this code.
    pub(super) fn at(mut self, log_start_offset: i64) -> Self {
        let untold = [
            ErrorCode::CORRUPT_MESSAGE,
            ErrorCode::MESSAGE_TOO_LARGE,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::KAFKA_STORAGE_ERROR,
        ];
        if !untold.contains(&self.code) {
            self.log_start_offset = log_start_offset;
        }
        self
    }
}

impl From<Refusal> for AppendRefusal {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message } = refusal;
        Self { code, message, wrong_records: Vec::new(), log_start_offset: -1 }
    }
}

impl From<ErrorCode> for AppendRefusal {
    fn from(code: ErrorCode) -> Self {
        Refusal::from(code).into()
    }
}

impl From<AppendRefusal> for Refusal {
    fn from(refusal: AppendRefusal) -> Self {
        Self { code: refusal.code, message: refusal.message }
    }
}

/// Checks the one batch that `records` is, and gives it the form that the topic's configs want.
pub(super) fn accept(
    records: Bytes,
    origin: AppendOrigin,
    configs: &TopicConfigs,
    now_ms: i64,
) -> Result<Accepted, AppendRefusal> {
    let header = BatchHeader::parse(&records).map_err(|error| malformed(&error))?;
    if records.len() > header.size_bytes() {
        return Err(invalid("There is more than one batch"));
    }
    let batch = RawBatch::new(records).map_err(|error| malformed(&error))?;
    if origin == AppendOrigin::Coordinator {
        let bytes = batch.bytes().to_vec();
        return Ok(Accepted { header, bytes, log_append_time_ms: -1 });
    }
    check_header(&batch, configs)?;
    let sent = header.attributes.compression();
    let plain = match sent {
        Compression::None => None,
        sent => {
            Some(decompress(sent, &batch.payload(), DECOMPRESSED_BATCH_BYTES_MAX).map_err(
                |error| AppendRefusal::new(ErrorCode::CORRUPT_MESSAGE, error.to_string()),
            )?)
        }
    };
    let wanted = configs.compression.unwrap_or(sent);
    let exact = sent != Compression::None || wanted != Compression::None;
    let payload = batch.payload();
    let times =
        check_records(&header, plain.as_deref().unwrap_or(&payload), exact, configs, now_ms)?;
    let converted = match (wanted == sent, plain) {
        (true, _) => None,
        (false, plain) => Some(convert(plain.as_deref().unwrap_or(&payload), wanted)?),
    };
    stored(&batch, converted, wanted, times, configs, now_ms)
}

fn check_header(batch: &RawBatch, configs: &TopicConfigs) -> Result<(), AppendRefusal> {
    let header = &batch.header;
    let given = configs.offsets == Offsets::Given;
    if header.base_offset != 0 && !given {
        let message = "The base offset of the record batch in the append to a partition must be 0";
        return Err(invalid(message));
    }
    check_size(batch.bytes().len(), configs)?;
    batch.verify_crc().map_err(|error| malformed(&error))?;
    if header.attributes.is_control() {
        return Err(invalid("Clients are not allowed to write control records"));
    }
    // Where offsets are given, what a compaction has left may be appended, too.
    if !given && (header.record_count == 0 || header.has_holes()) {
        return Err(invalid("Inconsistent batch offset range and number of records"));
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return Err(invalid("A batch of an idempotent producer has no valid sequence number"));
    }
    Ok(())
}

fn check_size(size_bytes: usize, configs: &TopicConfigs) -> Result<(), AppendRefusal> {
    if size_bytes <= configs.max_message_bytes {
        return Ok(());
    }
    let message = format!(
        "The record batch size is {size_bytes} bytes which exceeds the maximum configured value of \
         {}.",
        configs.max_message_bytes
    );
    Err(AppendRefusal::new(ErrorCode::MESSAGE_TOO_LARGE, message))
}

/// Looks at every record: that they hold together, have keys where compaction needs them, and
/// times that the topic allows. `exact` if their offsets must be without gaps, unless the topic
/// takes the offsets that it is given.
fn check_records(
    header: &BatchHeader,
    plain: &[u8],
    exact: bool,
    configs: &TopicConfigs,
    now_ms: i64,
) -> Result<Times, AppendRefusal> {
    let claims_append_time = header.attributes.is_log_append_time();
    let given = configs.offsets == Offsets::Given;
    let (mut max_timestamp, mut delta_min) = (-1, 0);
    let (mut wrong_times, mut without_key) = (Vec::new(), Vec::new());
    for (index, frame) in (0..).zip(frames(plain, header.record_count)) {
        let frame = frame.map_err(|error| invalid(&error.to_string()))?;
        if given {
            if frame.offset_delta < delta_min || frame.offset_delta > header.last_offset_delta {
                return Err(invalid("Offsets of records must rise within those of their batch"));
            }
            delta_min = frame.offset_delta + 1;
        } else if exact && frame.offset_delta != index {
            return Err(invalid("Record offsets of a compressed batch are not contiguous"));
        }
        let timestamp = match claims_append_time {
            true => header.max_timestamp,
            false => header.base_timestamp.wrapping_add(frame.timestamp_delta),
        };
        max_timestamp = timestamp.max(max_timestamp);
        if !is_time_allowed(timestamp, claims_append_time, configs, now_ms) {
            wrong_times.push(index);
        } else if configs.is_compacted && frame.key.is_none() {
            without_key.push(index);
        }
    }
    if let Some(first) = wrong_times.first() {
        let message = match claims_append_time {
            true => "Producers must not set the timestamp type to LogAppendTime.".to_owned(),
            false => format!(
                "The timestamp of record {first} is out of range. It should be within [{}, {}]",
                now_ms.saturating_sub(configs.timestamp_before_max_ms),
                now_ms.saturating_add(configs.timestamp_after_max_ms),
            ),
        };
        wrong_times.append(&mut without_key);
        wrong_times.sort_unstable();
        let refusal = AppendRefusal::new(ErrorCode::INVALID_TIMESTAMP, message);
        return Err(AppendRefusal { wrong_records: wrong_times, ..refusal });
    }
    if !without_key.is_empty() {
        let refusal = invalid("Compacted topic cannot accept message without key.");
        return Err(AppendRefusal { wrong_records: without_key, ..refusal });
    }
    Ok(Times { max_timestamp })
}

/// Kafka's rule (`LogValidator.validateTimestamp`), its odd corner with -1 included.
fn is_time_allowed(
    timestamp: i64,
    claims_append_time: bool,
    configs: &TopicConfigs,
    now_ms: i64,
) -> bool {
    if configs.timestamp_type == TimestampType::CreateTime && timestamp != -1 {
        let too_old = now_ms.saturating_sub(timestamp) > configs.timestamp_before_max_ms;
        let too_new = timestamp.saturating_sub(now_ms) > configs.timestamp_after_max_ms;
        return !too_old && !too_new;
    }
    !claims_append_time
}

fn convert(plain: &[u8], wanted: Compression) -> Result<Vec<u8>, AppendRefusal> {
    match wanted {
        Compression::None => Ok(plain.to_vec()),
        wanted => compress(wanted, plain).map_err(|error| {
            AppendRefusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string())
        }),
    }
}

/// The batch with the time of its append in place of the producer's, if the topic wants that, with
/// the largest timestamp that it has and not the one it claims, and compressed as the topic wants.
fn stored(
    batch: &RawBatch,
    converted: Option<Vec<u8>>,
    compression: Compression,
    times: Times,
    configs: &TopicConfigs,
    now_ms: i64,
) -> Result<Accepted, AppendRefusal> {
    let by_broker = configs.timestamp_type == TimestampType::LogAppendTime;
    let mut header = batch.header;
    let bits = header.attributes.0;
    let bits = if by_broker { bits | LOG_APPEND_TIME } else { bits & !LOG_APPEND_TIME };
    header.attributes = Attributes(bits).with_compression(compression);
    header.max_timestamp = if by_broker { now_ms } else { times.max_timestamp };
    let log_append_time_ms = if by_broker { now_ms } else { -1 };
    if header == batch.header && converted.is_none() {
        return Ok(Accepted { header, bytes: batch.bytes().to_vec(), log_append_time_ms });
    }
    let payload = converted.map_or_else(|| batch.payload(), Bytes::from);
    check_size(BATCH_HEADER_BYTES + payload.len(), configs)?;
    let bytes = sealed(&mut header, &payload).ok_or_else(|| {
        AppendRefusal::new(ErrorCode::MESSAGE_TOO_LARGE, "The batch grew beyond 2 GiB")
    })?;
    Ok(Accepted { header, bytes, log_append_time_ms })
}

fn invalid(message: &str) -> AppendRefusal {
    AppendRefusal::new(ErrorCode::INVALID_RECORD, message)
}

/// Kafka's code for bytes that are not a batch.
fn malformed(error: &BatchError) -> AppendRefusal {
    let code = match error {
        BatchError::Magic { .. } => ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        BatchError::Record { .. } | BatchError::Counts { .. } => ErrorCode::INVALID_RECORD,
        _ => ErrorCode::CORRUPT_MESSAGE,
    };
    AppendRefusal::new(code, error.to_string())
}
