//! Bytes that lie cost an error, and neither a panic nor memory.

use bytes::Bytes;
use farlog_wire::frame::decode_response;
use farlog_wire::limits::{DECODED_BYTES_ALWAYS_ALLOWED, DECODED_BYTES_PER_FRAME_BYTE_MAX};
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::metadata_request::MetadataRequest;
use farlog_wire::messages::metadata_response::MetadataResponse;
use farlog_wire::primitives::DecodeError;
use farlog_wire::{Message, Reader, for_each_api};

use super::dice::{Dice, Sample, sample};
use super::round_trip::encode;

/// Decodes anything. The memory used must be within bounds, whether that succeeds or not; what was
/// understood must survive being written and read again.
fn survives<M: Message>(bytes: Bytes, version: i16) -> Result<M, DecodeError> {
    let length = bytes.len();
    let mut input = Reader::new(bytes);
    let result = M::decode(&mut input, version);
    let limit = DECODED_BYTES_PER_FRAME_BYTE_MAX * length + DECODED_BYTES_ALWAYS_ALLOWED;
    assert!(input.memory_bytes() <= limit, "{} v{version}", M::NAME);
    if let Ok(message) = &result {
        // Bytes, not values, are compared: a floating-point number may not equal itself.
        let once = encode(message, version);
        let again = M::decode(&mut Reader::new(once.clone()), version)
            .unwrap_or_else(|error| panic!("{} v{version}: {error}", M::NAME));
        assert_eq!(encode(&again, version), once, "{} v{version}", M::NAME);
    }
    result
}

fn truncated<M: Message + Sample>() {
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        let bytes = encode(&sample::<M>(1, version), version);
        for length in 0..bytes.len() {
            let result = survives::<M>(bytes.slice(..length), version);
            assert!(result.is_err(), "{} v{version} of {length} bytes", M::NAME);
        }
    }
}

/// Lengths and counts that claim as much as each format can say.
const CLAIMS: [&[u8]; 6] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0x80, 0x00, 0x00, 0x00],
    &[0x7f, 0xff],
    &[0x01],
];

fn boastful<M: Message>() {
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        for claim in CLAIMS {
            for zeros in 0..12 {
                for length in [15, 64, 1024] {
                    let claims = claim.iter().copied().cycle();
                    let bytes = std::iter::repeat_n(0, zeros).chain(claims).take(length).collect();
                    let _ = survives::<M>(bytes, version);
                }
            }
        }
    }
}

fn damaged<M: Message + Sample>() {
    let mut dice = Dice::new(7);
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        for seed in 0..8 {
            let bytes = encode(&sample::<M>(seed, version), version);
            for _ in 0..24 {
                let mut damaged = bytes.to_vec();
                for _ in 0..=dice.below(3) {
                    if !damaged.is_empty() {
                        let place = dice.below(damaged.len());
                        damaged[place] = [0, 1, 0x7f, 0x80, 0xff, dice.bits() as u8][dice.below(6)];
                    }
                }
                let _ = survives::<M>(damaged.into(), version);
            }
        }
    }
}

macro_rules! tests {
    ($($api:ident $request:ident $Request:ident $response:ident $Response:ident;)*) => {
        #[test]
        fn a_message_cut_anywhere_is_an_error() {
            use farlog_wire::messages::*;
            $(
                truncated::<$request::$Request>();
                truncated::<$response::$Response>();
            )*
        }

        #[test]
        fn lengths_that_boast_cost_nothing() {
            use farlog_wire::messages::*;
            $(
                boastful::<$request::$Request>();
                boastful::<$response::$Response>();
            )*
        }

        #[test]
        fn damaged_messages_are_refused_or_understood() {
            use farlog_wire::messages::*;
            $(
                damaged::<$request::$Request>();
                damaged::<$response::$Response>();
            )*
        }
    };
}

for_each_api!(tests);

#[test]
fn a_frame_of_15_bytes_that_declares_4_billion_elements_is_an_error() {
    // Correlation id, error code, count + 1 as a variable-length integer, throttle time.
    let frame = [0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0];
    let error = decode_response::<ApiVersionsRequest>(Bytes::copy_from_slice(&frame), 3);
    assert_eq!(
        error,
        Err(DecodeError::TooLong {
            field: "ApiVersionsResponse.api_keys",
            declared: 4_294_967_294,
            needed: 6 * 4_294_967_294,
            remaining: 4,
        })
    );
}

#[test]
fn many_empty_elements_take_no_more_than_the_limit() {
    // As many of the smallest topics as the frame can hold: the worst honest case.
    let version = 9;
    let topics = 10_000_u32;
    let mut frame = vec![0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    let mut count = topics + 1;
    while count >= 0x80 {
        frame.push(count as u8 | 0x80);
        count >>= 7;
    }
    frame.push(count as u8);
    // Error 0, empty name, not internal, no partitions, no operations, no tagged fields.
    frame.extend([0, 0, 1, 0, 1, 0, 0, 0, 0, 0].repeat(topics as usize));
    frame.extend([0, 0, 0, 0, 0]);
    let length = frame.len();
    let mut input = Reader::new(frame.into());
    let message = MetadataResponse::decode(&mut input, version).unwrap();
    assert_eq!(message.topics.len(), topics as usize);
    assert!(input.memory_bytes() < 12 * length, "{} of {length}", input.memory_bytes());
}

#[test]
fn memory_is_bounded_where_elements_are_smaller_on_the_wire_than_in_memory() {
    // A topic of this request is at least 16 + 1 + 1 bytes in version 10.
    let mut frame = vec![0xe9, 0x07];
    frame.extend([0; 18 * 1_000]);
    frame.extend([0; 4]);
    let length = frame.len();
    let mut input = Reader::new(frame.into());
    let message = MetadataRequest::decode(&mut input, 10).unwrap();
    assert_eq!(message.topics.map(|topics| topics.len()), Some(1_000));
    assert!(input.memory_bytes() < 4 * length, "{} of {length}", input.memory_bytes());
}
