//! Well-formed batches for the fuzzers to start from.

use std::fs;
use std::path::{Path, PathBuf};

use farlog_wire::records::Compression;
use farlog_wire::records::compression::compress;

use crate::model::{encode_payload, sample_logs};

/// Logs to start from; an input is one log, or one batch.
const SEEDS: usize = 40;

/// What `fuzz_targets/record_batch.rs` reads first: batches of up to 61 + 8 · 100 bytes, 101
/// records, and from the second offset on.
const RECORD_BATCH_CHOICES: [u8; 3] = [100, 100, 1];

fn directory(target: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    fs::create_dir_all(&directory).expect("the corpus can be created");
    directory
}

/// Run it before fuzzing: `cargo test -p farlog-wire --test records seeds -- --ignored`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn seeds_for_the_fuzzers() {
    let (whole, compressed) = (directory("record_batch"), directory("compression"));
    for (index, log) in sample_logs(SEEDS).into_iter().enumerate() {
        let batches = log.iter().flat_map(|batch| batch.encode(Compression::None));
        let input: Vec<u8> = RECORD_BATCH_CHOICES.into_iter().chain(batches).collect();
        fs::write(whole.join(index.to_string()), input).expect("the corpus can be written");
        let payload = encode_payload(&log[0], 0);
        for (choice, codec) in (0..).zip(Compression::ALL) {
            let data = compress(codec, &payload).unwrap();
            let input = [&[choice, log[0].records.len() as u8][..], &data].concat();
            let file = compressed.join(format!("{index}-{}", codec.name()));
            fs::write(file, input).expect("the corpus can be written");
        }
    }
}
