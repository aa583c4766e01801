//! An independent codec reads what we write, and writes the same bytes again.

use bytes::{Bytes, BytesMut};
use farlog_wire::{Message, VersionRange, for_each_api};
use kafka_protocol::protocol::{Decodable, Encodable, Message as TheirMessage};

use super::dice::{SAMPLES, Sample, sample};
use super::round_trip::encode;

/// Compares in the versions that both know; says how many those are.
fn agree<Ours: Message + Sample, Theirs: TheirMessage + Decodable + Encodable>() -> usize {
    let theirs = VersionRange { min: Theirs::VERSIONS.min, max: Theirs::VERSIONS.max };
    let both = Ours::VERSIONS.intersect(theirs).expect("both know some version");
    for version in both.min..=both.max {
        for seed in 0..SAMPLES {
            let place = format!("{} v{version} seed {seed}", Ours::NAME);
            let ours = encode(&sample::<Ours>(seed, version), version);
            let mut input = ours.clone();
            let message = Theirs::decode(&mut input, version)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(input.is_empty(), "{place}: {} bytes left", input.len());
            let mut theirs = BytesMut::new();
            message.encode(&mut theirs, version).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(Bytes::from(theirs), ours, "{place}");
        }
    }
    (both.max - both.min + 1) as usize
}

macro_rules! tests {
    ($($api:ident $request:ident $Request:ident $response:ident $Response:ident;)*) => {
        #[test]
        fn every_message_agrees() {
            use farlog_wire::messages as ours;
            use kafka_protocol::messages as theirs;
            let mut versions = 0;
            $(
                versions += agree::<ours::$request::$Request, theirs::$Request>();
                versions += agree::<ours::$response::$Response, theirs::$Response>();
            )*
            versions += agree::<ours::request_header::RequestHeader, theirs::RequestHeader>();
            versions += agree::<ours::response_header::ResponseHeader, theirs::ResponseHeader>();
            // So that a narrowed range does not go unseen.
            assert_eq!(versions, VERSIONS_OF_BOTH);
        }
    };
}

/// Versions of messages that both codecs know, summed over all messages.
const VERSIONS_OF_BOTH: usize = 452;

for_each_api!(tests);
