//! The records of a batch, as far as a broker looks at them.
//!
//! Kafka's brokers check the shape of every record, but of an uncompressed batch not its offset
//! deltas: they store what they got, and so do we. (`wire::records` is stricter: a client should
//! not meet such batches unawares.)

/// What a broker asks of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) attributes: u8,
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    /// Without one it is a tombstone.
    pub(super) has_value: bool,
    /// Everything behind the deltas as it is written: key, value and headers.
    pub(super) contents: &'a [u8],
}

/// A record that does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {index} of the batch is malformed")]
pub(crate) struct FrameError {
    pub(super) index: i32,
}

/// The frames of `count` records in a payload that is not compressed; ends after an error. Bytes
/// behind the last record are an error, too.
pub(super) fn frames(
    payload: &[u8],
    count: i32,
) -> impl Iterator<Item = Result<Frame<'_>, FrameError>> {
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

impl Frame<'_> {
    /// Writes the record with other deltas.
    pub(super) fn write_to(&self, timestamp_delta: i64, offset_delta: i32, out: &mut Vec<u8>) {
        let mut front = Vec::with_capacity(16);
        front.push(self.attributes);
        push_varint(&mut front, timestamp_delta);
        push_varint(&mut front, i64::from(offset_delta));
        push_varint(out, (front.len() + self.contents.len()) as i64);
        out.extend_from_slice(&front);
        out.extend_from_slice(self.contents);
    }
}

fn read_frame<'a>(rest: &mut &'a [u8]) -> Option<Frame<'a>> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let (record, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    // None are defined.
    let (&attributes, mut record) = record.split_first()?;
    let timestamp_delta = varint(&mut record)?;
    let offset_delta = i32::try_from(varint(&mut record)?).ok()?;
    let contents = record;
    let key = field(&mut record)?;
    let has_value = field(&mut record)?.is_some();
    let headers = varint(&mut record)?;
    if headers < 0 {
        return None;
    }
    for _ in 0..headers {
        // A header has a name.
        field(&mut record)??;
        field(&mut record)?;
    }
    let frame = Frame { attributes, timestamp_delta, offset_delta, key, has_value, contents };
    record.is_empty().then_some(frame)
}

/// A length and as many bytes; the inner `None` for null.
fn field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint(rest)?;
    if length < 0 {
        return (length == -1).then_some(None);
    }
    let (field, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(Some(field))
}

/// Zigzag, seven bits to a byte, the lowest first.
fn push_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
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
        let read: Result<Vec<Frame<'_>>, FrameError> = frames(payload, 2).collect();
        let read = read.unwrap();
        let facts =
            |frame: &Frame<'_>| (frame.timestamp_delta, frame.offset_delta, frame.has_value);
        assert_eq!((facts(&read[0]), read[0].key), ((0, 0, false), Some(&b"k"[..])));
        assert_eq!((facts(&read[1]), read[1].key), ((-10, 1, true), None));
        let mut written = Vec::new();
        read[0].write_to(0, 0, &mut written);
        read[1].write_to(-10, 1, &mut written);
        assert_eq!(&written[..], &payload[..]);
        written.clear();
        read[1].write_to(i64::MIN, i32::MAX, &mut written);
        let moved: Vec<_> = frames(&written, 1).collect();
        assert_eq!(moved[0].map(|frame| facts(&frame)), Ok((i64::MIN, i32::MAX, true)));
    }

    #[test]
    fn malformed_records_end_the_reading() {
        fn all(payload: &[u8], count: i32) -> Vec<Result<Frame<'_>, FrameError>> {
            frames(payload, count).collect()
        }
        let whole = [12, 0, 0, 0, 1, 1, 0];
        let frame = Frame {
            attributes: 0,
            timestamp_delta: 0,
            offset_delta: 0,
            key: None,
            has_value: false,
            contents: &[1, 1, 0],
        };
        assert_eq!(all(&whole, 1), [Ok(frame)]);
        assert_eq!(all(&whole, 2), [Ok(frame), Err(FrameError { index: 1 })]);
        assert_eq!(all(&[&whole[..], &[0]].concat(), 1), [Err(FrameError { index: 0 })]);
        assert_eq!(all(&whole[..6], 1), [Err(FrameError { index: 0 })]);
        assert_eq!(all(&[0xff; 20], 1), [Err(FrameError { index: 0 })]);
        assert_eq!(all(&[], 0), []);
    }
}
