//! Any bytes as the records of a fetch response: split, read, passed through, merged. What is made
//! of them must be dense, checksummed, and hold the same records.

#![no_main]

use bytes::Bytes;
use farlog_wire::records::{
    BatchBuilder, BuilderLimits, OutgoingBatch, ProducerStamp, RawBatch, batches, control_record,
    next_fetch, pass_through, records,
};
use libfuzzer_sys::fuzz_target;

const STAMP: ProducerStamp = ProducerStamp { producer_id: 5, producer_epoch: 0, base_sequence: 9 };

fuzz_target!(|input: &[u8]| {
    let Some((&[size, count, skip], response)) = input.split_first_chunk::<3>() else { return };
    let limits = BuilderLimits {
        size_bytes_max: 61 + 8 * usize::from(size),
        record_count_max: 1 + i64::from(count),
    };
    let response = Bytes::copy_from_slice(response);
    let next = next_fetch(&response);
    let mut builder = BatchBuilder::new();
    let mut last = None;
    for batch in batches(response) {
        let Ok(batch) = batch else {
            assert!(next.is_err());
            return;
        };
        last = Some(batch.header.next_offset());
        look(&batch);
        merge(&mut builder, &batch, batch.header.base_offset + i64::from(skip % 4), limits);
    }
    assert_eq!(next.ok().flatten().map(|next| next.offset), last);
});

fn look(batch: &RawBatch) {
    let _ = control_record(batch);
    let undamaged = batch.verify_crc().is_ok();
    if let Ok(outgoing) = pass_through(batch, STAMP) {
        let arrived = RawBatch::new(outgoing.to_bytes()).expect("it has a proper header");
        assert_eq!(arrived.verify_crc().is_ok(), undamaged);
        assert_eq!(arrived.header.record_count, arrived.header.last_offset_delta + 1);
        assert_eq!(arrived.payload(), batch.payload());
    }
}

/// Takes the whole batch over, as the link does.
fn merge(builder: &mut BatchBuilder, batch: &RawBatch, from: i64, limits: BuilderLimits) {
    let mut next = from;
    let mut taken = 0;
    while next < batch.header.next_offset() {
        let Ok(appended) = builder.append_batch(batch, next, limits) else { return };
        assert!(appended.next_offset > next || !builder.is_empty(), "it goes on");
        assert_eq!(appended.runs.record_count(), appended.record_count);
        taken += appended.record_count;
        next = appended.next_offset;
        if next < batch.header.next_offset() {
            check(&builder.finish(STAMP), limits);
        }
    }
    // All of it was taken, so all of it is well-formed; what is skipped need not be.
    let Ok(read) = records(batch) else {
        assert!(from > batch.header.base_offset, "the merger is as strict as the reader");
        return;
    };
    let expected = read.iter().filter(|record| record.offset >= from).count();
    assert_eq!(taken, expected as i64);
    if !builder.is_empty() {
        check(&builder.finish(STAMP), limits);
    }
}

fn check(outgoing: &OutgoingBatch, limits: BuilderLimits) {
    let batch = RawBatch::new(outgoing.to_bytes()).expect("it has a proper header");
    batch.verify_crc().expect("its checksum is right");
    let read = records(&batch).expect("its records are well-formed");
    assert_eq!(read.len(), batch.header.record_count as usize);
    assert!(read.len() as i64 <= limits.record_count_max);
    assert!(read.len() == 1 || outgoing.size_bytes() <= limits.size_bytes_max);
    let dense = read.iter().enumerate().all(|(index, record)| record.offset == index as i64);
    assert!(dense, "offsets count up from 0");
    let max_timestamp = read.iter().map(|record| record.timestamp).max();
    assert_eq!(max_timestamp, Some(batch.header.max_timestamp));
}
