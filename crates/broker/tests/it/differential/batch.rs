//! Record batches: written as a scenario wants them, right or wrong, and shown as they are stored.

use bytes::Bytes;
use farlog_wire::records::Compression;
use farlog_wire::records::compression::{compress, decompress};

use super::script::{Args, parse};
use super::world::World;

const HEADER_BYTES: usize = 61;
const DECOMPRESSED_BYTES_MAX: usize = 64 * 1024 * 1024;

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const LOG_APPEND_TIME: i16 = 0x08;

/// A record as a scenario writes it.
#[derive(Clone, Debug)]
struct Written {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp: i64,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The batch that the options of `produce` describe.
pub(super) fn batch_of(args: &Args, world: &World) -> Bytes {
    let records = records_of(args.option("records").unwrap_or("k:v"), world);
    let deltas: Vec<i32> = match args.option("deltas") {
        Some(list) => list.split(',').map(parse).collect(),
        None => (0..).take(records.len()).collect(),
    };
    let base_timestamp = match args.option("base-timestamp") {
        Some(time) => world.time(time),
        None => records.first().map_or(-1, |record| record.timestamp),
    };
    let mut payload = Vec::new();
    for (record, delta) in records.iter().zip(&deltas) {
        let body = record.body(record.timestamp - base_timestamp, *delta);
        push_varint(&mut payload, body.len() as i64);
        payload.extend(body);
    }
    let compression = match args.option("codec").unwrap_or("none") {
        "none" => Compression::None,
        name => *Compression::ALL.iter().find(|codec| codec.name() == name).expect("a codec"),
    };
    let mut payload = match compression {
        Compression::None => payload,
        compression => compress(compression, &payload).expect("it compresses"),
    };
    if let Some(bytes) = args.option("garbage") {
        payload = vec![0xa5; parse(bytes)];
    }
    let count = records.len() as i32;
    let max = records.iter().map(|record| record.timestamp).max().unwrap_or(-1);
    let (producer_id, epoch, sequence) = producer_of(args, world);
    let mut attributes = compression as i16;
    for (name, bit) in [("txn", TRANSACTIONAL), ("control", CONTROL), ("log-time", LOG_APPEND_TIME)]
    {
        attributes |= if args.flag(name) { bit } else { 0 };
    }
    attributes |= args.number::<i16>("attributes", 0);
    let mut checked = Vec::new();
    checked.extend(attributes.to_be_bytes());
    checked.extend(args.number("last-delta", count - 1).to_be_bytes());
    checked.extend(base_timestamp.to_be_bytes());
    checked.extend(args.option("max-timestamp").map_or(max, |time| world.time(time)).to_be_bytes());
    checked.extend(producer_id.to_be_bytes());
    checked.extend(epoch.to_be_bytes());
    checked.extend(sequence.to_be_bytes());
    checked.extend(args.number("count", count).to_be_bytes());
    checked.extend(payload);
    let crc = crc32c::crc32c(&checked) ^ if args.flag("bad-crc") { 1 } else { 0 };
    let mut batch = Vec::new();
    batch.extend(args.number::<i64>("base-offset", 0).to_be_bytes());
    // What follows the length: epoch, magic, checksum, and what that covers.
    let length = 9 + checked.len() as i32;
    batch.extend(args.number("length", length).to_be_bytes());
    batch.extend(args.number::<i32>("batch-epoch", -1).to_be_bytes());
    batch.push(args.number::<i8>("magic", 2) as u8);
    batch.extend(crc.to_be_bytes());
    batch.extend(checked);
    if args.flag("twice") {
        batch.extend(batch.clone());
    }
    batch.truncate(batch.len() - args.number::<usize>("cut", 0));
    batch.extend(vec![0; args.number("zeros", 0)]);
    batch.into()
}

/// `producer=id/epoch/sequence`, `id` being a number or the name of one that was given away.
fn producer_of(args: &Args, world: &World) -> (i64, i16, i32) {
    let Some(text) = args.option("producer") else { return (-1, -1, -1) };
    let parts: Vec<&str> = text.split('/').collect();
    let [id, epoch, sequence] = parts[..] else { panic!("producer=id/epoch/sequence, not {text}") };
    (world.number(id), world.number(epoch) as i16, parse(sequence))
}

/// A magic 1 message, from before there were batches.
pub(super) fn old_message() -> Bytes {
    let mut checked = vec![1, 0];
    checked.extend(1_000_i64.to_be_bytes());
    for part in [b"k", b"v"] {
        checked.extend(1_i32.to_be_bytes());
        checked.extend(part);
    }
    let mut message = 0_i64.to_be_bytes().to_vec();
    message.extend((checked.len() as i32 + 4).to_be_bytes());
    // Brokers look at the magic first: the checksum (CRC-32, not CRC-32C) is not wanted.
    message.extend([0; 4]);
    message.extend(checked);
    message.into()
}

fn records_of(text: &str, world: &World) -> Vec<Written> {
    let mut records = Vec::new();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let (word, times) = match word.split_once('#') {
            Some((word, times)) => (word, parse(times)),
            None => (word, 1),
        };
        let (word, timestamp) = match word.split_once('@') {
            Some((word, time)) => (word, world.time(time)),
            None => (word, world.time("now")),
        };
        let mut parts = word.split('+');
        let (key, value) = parts.next().and_then(|word| word.split_once(':')).expect("key:value");
        let headers = parts.map(|part| {
            let (name, value) = part.split_once('=').expect("+name=value");
            (name.as_bytes().to_vec(), field(value))
        });
        let headers = headers.collect();
        let record = Written { key: field(key), value: field(value), timestamp, headers };
        records.extend(std::iter::repeat_n(record, times));
    }
    records
}

/// `~` is null, `*5` is five bytes, all else is itself.
fn field(text: &str) -> Option<Vec<u8>> {
    match text {
        "~" => None,
        _ => Some(match text.strip_prefix('*') {
            Some(bytes) => vec![b'x'; parse(bytes)],
            None => text.as_bytes().to_vec(),
        }),
    }
}

impl Written {
    fn body(&self, timestamp_delta: i64, offset_delta: i32) -> Vec<u8> {
        let mut body = vec![0];
        push_varint(&mut body, timestamp_delta);
        push_varint(&mut body, i64::from(offset_delta));
        push_field(&mut body, self.key.as_deref());
        push_field(&mut body, self.value.as_deref());
        push_varint(&mut body, self.headers.len() as i64);
        for (name, value) in &self.headers {
            push_field(&mut body, Some(name));
            push_field(&mut body, value.as_deref());
        }
        body
    }
}

fn push_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    push_varint(out, field.map_or(-1, |field| field.len() as i64));
    out.extend(field.unwrap_or_default());
}

fn push_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Reads forward in bytes; `None` at their end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<i64> {
        let taken = self.take(bytes)?;
        let first = i64::from(*taken.first()? as i8);
        Some(taken[1..].iter().fold(first, |number, &byte| number << 8 | i64::from(byte)))
    }

    fn varint(&mut self) -> Option<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.number(1)? as u8;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        None
    }

    fn field(&mut self) -> Option<Option<&'a [u8]>> {
        match self.varint()? {
            -1 => Some(None),
            length => Some(Some(self.take(usize::try_from(length).ok()?)?)),
        }
    }
}

/// Every whole batch as a line; what is cut off at the end is left out.
pub(super) fn show_batches(records: &[u8], world: &World) -> Vec<String> {
    let mut rest = records;
    let mut lines = Vec::new();
    while rest.len() >= HEADER_BYTES {
        let length = i32::from_be_bytes(rest[8..12].try_into().expect("four bytes"));
        let size = 12 + usize::try_from(length).expect("a length");
        let Some((batch, after)) = rest.split_at_checked(size) else { break };
        lines.push(show_batch(batch, world).expect("a batch as brokers store them"));
        rest = after;
    }
    lines
}

fn show_batch(batch: &[u8], world: &World) -> Option<String> {
    let mut cursor = Cursor(batch);
    let base = cursor.number(8)?;
    cursor.take(4)?;
    let (epoch, magic, crc) = (cursor.number(4)?, cursor.number(1)?, cursor.number(4)? as u32);
    let right_crc = crc32c::crc32c(cursor.0) == crc;
    let attributes = cursor.number(2)? as i16;
    let last_delta = cursor.number(4)?;
    let (base_timestamp, max_timestamp) = (cursor.number(8)?, cursor.number(8)?);
    let (producer_id, producer_epoch) = (cursor.number(8)?, cursor.number(2)?);
    let (sequence, count) = (cursor.number(4)?, cursor.number(4)?);
    let mut line = format!("  batch {base}..{} count={count} epoch={epoch}", base + last_delta);
    if magic != 2 || !right_crc {
        line += &format!(" magic={magic} crc={}", if right_crc { "right" } else { "wrong" });
    }
    let compression = Compression::from_code(attributes & 7)?;
    if compression != Compression::None {
        line += &format!(" {}", compression.name());
    }
    for (name, bit) in [("txn", TRANSACTIONAL), ("control", CONTROL), ("log-time", LOG_APPEND_TIME)]
    {
        line += &if attributes & bit != 0 { format!(" {name}") } else { String::new() };
    }
    if attributes & !0x3f != 0 {
        line += &format!(" attributes={attributes:#x}");
    }
    if producer_id != -1 || producer_epoch != -1 || sequence != -1 {
        let producer_id = world.show_producer(producer_id);
        line += &format!(" producer={producer_id}/{producer_epoch}/{sequence}");
    }
    let (from, to) = (world.show_time(base_timestamp), world.show_time(max_timestamp));
    line += &format!(" from={from} max={to}:");
    let payload = match compression {
        Compression::None => cursor.0.to_vec(),
        compression => decompress(compression, cursor.0, DECOMPRESSED_BYTES_MAX).ok()?,
    };
    line += &show_records(&payload, count, base_timestamp, attributes & CONTROL != 0, world);
    Some(line)
}

fn show_records(
    payload: &[u8],
    count: i64,
    base_timestamp: i64,
    control: bool,
    world: &World,
) -> String {
    let mut cursor = Cursor(payload);
    let mut shown: Vec<String> = Vec::new();
    for index in 0..count {
        let record = show_record(&mut cursor, index, base_timestamp, control, world);
        let Some(record) = record else {
            shown.push("cut off".to_owned());
            break;
        };
        shown.push(record);
    }
    if !cursor.0.is_empty() {
        shown.push(format!("and {} bytes", cursor.0.len()));
    }
    let mut line = String::new();
    let mut at = 0;
    while at < shown.len() {
        let times = shown[at..].iter().take_while(|record| **record == shown[at]).count();
        line += &format!(" {}", shown[at]);
        if times > 1 {
            line += &format!("#{times}");
        }
        at += times;
    }
    line
}

fn show_record(
    cursor: &mut Cursor<'_>,
    index: i64,
    base_timestamp: i64,
    control: bool,
    world: &World,
) -> Option<String> {
    let length = usize::try_from(cursor.varint()?).ok()?;
    let mut body = Cursor(cursor.take(length)?);
    let attributes = body.number(1)?;
    let timestamp = base_timestamp.wrapping_add(body.varint()?);
    let delta = body.varint()?;
    let (key, value) = (body.field()?, body.field()?);
    let mut text = match key {
        Some(&[0, 0, 0, kind]) if control => {
            let kind = if kind == 1 { "COMMIT" } else { "ABORT" };
            let epoch = value.map_or(-1, |value| Cursor(&value[2..]).number(4).unwrap_or(-1));
            format!("{kind}(coordinator={})", world.show_coordinator(epoch as i32))
        }
        _ => format!("{}:{}", show_field(key), show_field(value)),
    };
    for _ in 0..body.varint()? {
        let name = body.field()?;
        text += &format!("+{}={}", show_field(name), show_field(body.field()?));
    }
    if delta != index {
        text += &format!("^{delta}");
    }
    if attributes != 0 {
        text += &format!("!{attributes}");
    }
    Some(text + "@" + &world.show_time(timestamp))
}

fn show_field(field: Option<&[u8]>) -> String {
    match field {
        None => "~".to_owned(),
        Some(bytes) if bytes.len() > 20 => format!("*{}", bytes.len()),
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
