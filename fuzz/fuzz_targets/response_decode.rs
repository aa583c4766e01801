//! Any bytes as a response of any API in any version: the message, and the frame with its header.

#![no_main]

use farlog_fuzz::{choose, decode, survives, version};
use farlog_wire::for_each_api;
use farlog_wire::frame::decode_response;
use farlog_wire::messages::*;
use libfuzzer_sys::fuzz_target;

macro_rules! decoders {
    ($($api:ident $request:ident $Request:ident $response:ident $Response:ident;)*) => {
        const DECODERS: &[fn(&[u8], u8)] = &[$(|bytes, choice| {
            let version = version::<$response::$Response>(choice);
            decode::<$response::$Response>(bytes, version);
            let frame = bytes.to_vec().into();
            if let Ok((_, response)) = decode_response::<$request::$Request>(frame, version) {
                // An answer of an older broker (KIP-511) can be written in its version, too.
                survives(&response, version);
            }
        },)*];
    };
}

for_each_api!(decoders);

fuzz_target!(|input: &[u8]| {
    if let Some((api, version, bytes)) = choose(input, DECODERS.len()) {
        DECODERS[api](bytes, version);
    }
});
