//! Fuzz targets of Farlog: what bytes from outside can do to its decoders.
//!
//! ```text
//! cargo test -p farlog-wire --test messages seeds -- --ignored
//! cargo +nightly fuzz run request_decode -- -malloc_limit_mb=4 -max_len=4096 -max_total_time=600
//! ```
//!
//! A decoder is given anything. It must not panic, must not use memory out of proportion, and what
//! it understands must survive being written and read again.

use farlog_wire::limits::{DECODED_BYTES_ALWAYS_ALLOWED, DECODED_BYTES_PER_FRAME_BYTE_MAX};
use farlog_wire::{Message, Reader, Writer};

/// Bytes of the input that choose what is decoded: an API and a version.
const CHOICE_BYTES: usize = 2;

/// An input split into the place of an API in a list of `apis`, a number that chooses its version,
/// and the bytes to decode.
pub fn choose(input: &[u8], apis: usize) -> Option<(usize, u8, &[u8])> {
    let (choice, bytes) = input.split_at_checked(CHOICE_BYTES)?;
    Some((usize::from(choice[0]) % apis, choice[1], bytes))
}

/// The version of `M` that a number chooses.
pub fn version<M: Message>(choice: u8) -> i16 {
    let versions = M::VERSIONS.max - M::VERSIONS.min + 1;
    M::VERSIONS.min + i16::from(choice) % versions
}

/// Decodes `bytes` as `M`.
pub fn decode<M: Message>(bytes: &[u8], version: i16) {
    let mut input = Reader::new(bytes.to_vec().into());
    let result = M::decode(&mut input, version);
    let limit = DECODED_BYTES_PER_FRAME_BYTE_MAX * bytes.len() + DECODED_BYTES_ALWAYS_ALLOWED;
    assert!(input.memory_bytes() <= limit);
    if let Ok(message) = result {
        survives(&message, version);
    }
}

/// Writes and reads a message again. Bytes, not values, are compared: a floating-point number may
/// not equal itself.
pub fn survives<M: Message>(message: &M, version: i16) {
    let once = encode(message, version);
    let mut input = Reader::new(once.clone().into());
    let again = M::decode(&mut input, version).expect("what was written can be read");
    assert_eq!(input.remaining(), 0);
    assert_eq!(encode(&again, version), once);
}

fn encode<M: Message>(message: &M, version: i16) -> Vec<u8> {
    let mut out = Writer::new();
    message.encode(&mut out, version).expect("what was read can be written");
    out.into_bytes().to_vec()
}
