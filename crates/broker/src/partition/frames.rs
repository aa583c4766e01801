//! The records of a batch, as far as a broker looks at them.
//!
//! Kafka's brokers check the shape of every record, but of an uncompressed batch not its offset
//! deltas: they store what they got, and so do we. (`wire::records` is stricter: a client should
//! not meet such batches unawares.)

/// What a broker asks of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) has_key: bool,
}

/// A record that does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {index} of the batch is malformed")]
pub(super) struct FrameError {
    pub(super) index: i32,
}

/// The frames of `count` records in a payload that is not compressed; ends after an error. Bytes
/// behind the last record are an error, too.
pub(super) fn frames(
    payload: &[u8],
    count: i32,
) -> impl Iterator<Item = Result<Frame, FrameError>> + '_ {
    let mut rest = payload;
    let mut failed = false;
    (0..count).map_while(move |index| {
        if failed {
            return None;
        }
        let frame = read_frame(&mut rest).filter(|_| index + 1 < count || rest.is_empty());
        failed = frame.is_none();
        Some(frame.ok_or(FrameError { index }))
    })
}

fn read_frame(rest: &mut &[u8]) -> Option<Frame> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let (mut record, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    // Attributes: none are defined.
    (_, record) = record.split_at_checked(1)?;
    let timestamp_delta = varint(&mut record)?;
    let offset_delta = i32::try_from(varint(&mut record)?).ok()?;
    let has_key = skip_field(&mut record)?;
    skip_field(&mut record)?;
    let headers = varint(&mut record)?;
    if headers < 0 {
        return None;
    }
    for _ in 0..headers {
        // A header has a name.
        skip_field(&mut record)?.then_some(())?;
        skip_field(&mut record)?;
    }
    record.is_empty().then_some(Frame { timestamp_delta, offset_delta, has_key })
}

/// Skips a length and as many bytes; false for null.
fn skip_field(rest: &mut &[u8]) -> Option<bool> {
    let length = varint(rest)?;
    if length < 0 {
        return (length == -1).then_some(false);
    }
    let (_, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(true)
}

fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            // Zigzag: the lowest bit is the sign.
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use farlog_wire::records::{BatchWriter, Header};

    #[test]
    fn frames_of_a_batch_are_read() {
        let mut writer = BatchWriter::new();
        writer.push(1_000, Some(b"k"), None, &[Header { key: b"h", value: None }]);
        writer.push(990, None, Some(&[7; 300]), &[]);
        let batch = writer.finish_unsequenced().unwrap();
        let payload = batch.payload();
        let read: Result<Vec<Frame>, FrameError> = frames(payload, 2).collect();
        let first = Frame { timestamp_delta: 0, offset_delta: 0, has_key: true };
        let second = Frame { timestamp_delta: -10, offset_delta: 1, has_key: false };
        assert_eq!(read, Ok(vec![first, second]));
    }

    #[test]
    fn malformed_records_end_the_reading() {
        let all = |payload: &[u8], count| frames(payload, count).collect::<Vec<_>>();
        let whole = [12, 0, 0, 0, 1, 1, 0];
        let frame = Frame { timestamp_delta: 0, offset_delta: 0, has_key: false };
        assert_eq!(all(&whole, 1), [Ok(frame)]);
        assert_eq!(all(&whole, 2), [Ok(frame), Err(FrameError { index: 1 })]);
        assert_eq!(all(&[&whole[..], &[0]].concat(), 1), [Err(FrameError { index: 0 })]);
        assert_eq!(all(&whole[..6], 1), [Err(FrameError { index: 0 })]);
        assert_eq!(all(&[0xff; 20], 1), [Err(FrameError { index: 0 })]);
        assert_eq!(all(&[], 0), []);
    }
}
