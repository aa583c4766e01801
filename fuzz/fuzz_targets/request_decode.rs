//! Any bytes as a request of any API in any version, and as a request header.

#![no_main]

use farlog_fuzz::{choose, decode, version};
use farlog_wire::for_each_api;
use farlog_wire::frame::decode_request_header;
use farlog_wire::messages::*;
use libfuzzer_sys::fuzz_target;

macro_rules! decoders {
    ($($api:ident $request:ident $Request:ident $response:ident $Response:ident;)*) => {
        const DECODERS: &[fn(&[u8], u8)] = &[
            $(|bytes, choice| {
                let version = version::<$request::$Request>(choice);
                decode::<$request::$Request>(bytes, version);
            },)*
            |bytes, choice| {
                let header_version = |_, _| 1 + i16::from(choice) % 2;
                let _ = decode_request_header(bytes.to_vec().into(), header_version);
            },
        ];
    };
}

for_each_api!(decoders);

fuzz_target!(|input: &[u8]| {
    if let Some((api, version, bytes)) = choose(input, DECODERS.len()) {
        DECODERS[api](bytes, version);
    }
});
