//! Any bytes as compressed data of each codec, alone and as a batch; and any bytes compressed and
//! decompressed again.

#![no_main]

use bytes::Bytes;
use farlog_wire::records::compression::{CodecError, compress, decompress};
use farlog_wire::records::{
    BATCH_HEADER_BYTES, Compression, ProducerStamp, RawBatch, records, rewrite_compressed,
};
use libfuzzer_sys::fuzz_target;

/// Far above what the fuzzer's inputs hold, so that what lies about its size is met.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((&[choice, count], data)) = input.split_first_chunk::<2>() else { return };
    let codec = Compression::ALL[usize::from(choice) % Compression::ALL.len()];
    if choice & 0x80 != 0 {
        let compressed = compress(codec, data).expect("any data compresses");
        // No data is no frame, and no frame is no data.
        let decompressed = decompress(codec, &compressed, data.len());
        assert_eq!(decompressed.as_deref(), Ok(data));
        return;
    }
    match decompress(codec, data, DECOMPRESSED_BYTES_MAX) {
        Ok(plain) => {
            assert!(plain.len() <= DECOMPRESSED_BYTES_MAX);
            if let Some(less) = plain.len().checked_sub(1) {
                let refused = decompress(codec, data, less);
                assert!(matches!(refused, Err(CodecError::TooLarge { .. })), "{refused:?}");
            }
        }
        Err(error) => drop(error.to_string()),
    }
    rewrite(codec, i32::from(count), data);
});

/// A batch whose header fits, around data that may be anything.
fn rewrite(codec: Compression, record_count: i32, data: &[u8]) {
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    bytes[8..12].copy_from_slice(&((49 + data.len()) as i32).to_be_bytes());
    bytes[16] = 2;
    bytes[22] = codec as u8;
    bytes[23..27].copy_from_slice(&(record_count + 3).to_be_bytes());
    bytes[57..61].copy_from_slice(&record_count.to_be_bytes());
    bytes.extend_from_slice(data);
    let Ok(batch) = RawBatch::new(Bytes::from(bytes)) else { return };
    let stamp = ProducerStamp { producer_id: 5, producer_epoch: 0, base_sequence: 9 };
    let Ok(Some(rewritten)) = rewrite_compressed(&batch, 1, stamp, DECOMPRESSED_BYTES_MAX) else {
        return;
    };
    let arrived = RawBatch::new(rewritten.batch.to_bytes()).expect("it has a proper header");
    arrived.verify_crc().expect("its checksum is right");
    let plain = arrived.decompressed(2 * DECOMPRESSED_BYTES_MAX).expect("we compressed it");
    let read = records(&plain).expect("its records are well-formed");
    assert_eq!(read.len() as i64, rewritten.runs.record_count());
}
