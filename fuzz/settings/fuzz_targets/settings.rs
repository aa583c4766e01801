//! Any bytes as a settings file of either format: compiled or refused, and the report renders.
//!
//! ```text
//! cargo +nightly fuzz run --fuzz-dir fuzz/settings settings -- \
//!     -malloc_limit_mb=256 -max_len=4096 -max_total_time=600
//! ```

#![no_main]

use farlog::settings::surroundings::Imagined;
use farlog::settings::{LoadOptions, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let name = if choice & 1 == 0 { "farlog.yaml" } else { "mm2.properties" };
    let mut imagined = Imagined::default();
    imagined.variables.insert("A".to_owned(), "b:1".to_owned());
    imagined.files.insert("f".to_owned(), bytes.to_vec());
    let options = LoadOptions { strict: choice & 2 != 0 };
    let loaded = load(name, bytes, &options, &imagined);
    let rendered = loaded.report.render();
    assert!(loaded.is_accepted() || !rendered.is_empty());
});
