//! Well-formed messages for the fuzzers to start from.

use std::fs;
use std::path::Path;

use farlog_wire::{Message, for_each_api};

use super::dice::{Sample, sample};
use super::round_trip::encode;

/// How many seeds each message and version gets.
const SEEDS: u64 = 3;

/// Writes inputs as `fuzz/src/lib.rs` reads them: the place of the API in the list, the place of
/// the version among its versions, the message.
fn write<M: Message + Sample>(target: &str, api: u8) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    fs::create_dir_all(&directory).expect("the corpus can be created");
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        for seed in 0..SEEDS {
            let choice = [api, (version - M::VERSIONS.min) as u8];
            let input = [&choice, &encode(&sample::<M>(seed, version), version)[..]].concat();
            let file = directory.join(format!("{}-{version}-{seed}", M::NAME));
            fs::write(file, input).expect("the corpus can be written");
        }
    }
}

macro_rules! tests {
    ($($api:ident $request:ident $Request:ident $response:ident $Response:ident;)*) => {
        /// Run it before fuzzing: `cargo test -p farlog-wire --test messages seeds -- --ignored`.
        #[test]
        #[ignore = "writes into fuzz/corpus"]
        fn seeds_for_the_fuzzers() {
            use farlog_wire::messages::*;
            let mut api = 0;
            $(
                write::<$request::$Request>("request_decode", api);
                write::<$response::$Response>("response_decode", api);
                api += 1;
            )*
            assert_eq!(api, 45);
        }
    };
}

for_each_api!(tests);
