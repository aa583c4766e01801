//! What is encoded comes back when it is decoded: every message, every version.

use bytes::Bytes;
use farlog_wire::messages::request_header::RequestHeader;
use farlog_wire::messages::response_header::ResponseHeader;
use farlog_wire::{Message, Reader, Request, Writer, for_each_api};

use super::dice::{SAMPLES, Sample, sample};

pub(crate) fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut out = Writer::new();
    message.encode(&mut out, version).unwrap_or_else(|error| panic!("{} {error}", M::NAME));
    out.into_bytes().freeze()
}

/// Decodes, and expects that nothing is left over.
pub(crate) fn decode<M: Message>(bytes: Bytes, version: i16) -> M {
    let mut input = Reader::new(bytes);
    let message = M::decode(&mut input, version)
        .unwrap_or_else(|error| panic!("{} v{version}: {error}", M::NAME));
    assert_eq!(input.remaining(), 0, "{} v{version}", M::NAME);
    message
}

fn round_trips<M: Message + Sample + Default + PartialEq + std::fmt::Debug>(
    is_flexible: impl Fn(i16) -> bool,
) {
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        for seed in 0..SAMPLES {
            let message: M = sample(seed, version);
            let bytes = encode(&message, version);
            assert_eq!(decode::<M>(bytes, version), message, "{} v{version} {seed}", M::NAME);
        }
        if is_flexible(version) {
            skips_unknown_tagged_fields::<M>(version);
        }
    }
}

/// The defaults have no tagged field, so that their encoding ends with the count of them: 0. Where
/// a default cannot be encoded (null in a field that must not be), samples are tested elsewhere.
fn skips_unknown_tagged_fields<M: Message + Default + PartialEq + std::fmt::Debug>(version: i16) {
    let message = M::default();
    let bytes = encode(&message, version);
    let (&count, body) = bytes.split_last().expect("flexible messages end with a count");
    assert_eq!(count, 0);
    // Two fields: tag 1000 (varint e8 07) with 3 bytes, tag 2^32-1 with none.
    let unknown = [2, 0xe8, 0x07, 3, b'n', b'e', b'w', 0xff, 0xff, 0xff, 0xff, 0x0f, 0].as_slice();
    let bytes = Bytes::from([body, unknown].concat());
    assert_eq!(decode::<M>(bytes, version), message, "{} v{version}", M::NAME);
}

macro_rules! tests {
    ($($api:ident $request:ident $Request:ident $response:ident $Response:ident;)*) => {
        $(
            #[test]
            fn $request() {
                use farlog_wire::messages::$request::$Request;
                round_trips::<$Request>(|version| $Request::request_header_version(version) == 2);
            }

            #[test]
            fn $response() {
                use farlog_wire::messages::{$request::$Request, $response::$Response};
                // Not the version of the response's header: that of `ApiVersions` is always 0.
                round_trips::<$Response>(|version| $Request::request_header_version(version) == 2);
            }
        )*

        /// How many APIs there are: one that went missing would not fail any other test.
        const APIS: usize = [$(stringify!($api)),*].len();
    };
}

for_each_api!(tests);

#[test]
fn headers() {
    round_trips::<RequestHeader>(|version| version == 2);
    round_trips::<ResponseHeader>(|version| version == 1);
}

#[test]
fn all_apis_are_there() {
    assert_eq!(APIS, 47);
}
