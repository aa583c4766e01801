//! The bench measures every row of its tables, with little data.

use std::path::Path;
use std::process::Command;

#[test]
fn the_bench_measures_every_row() {
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-smoke.json");
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["bench", "--smoke", "--json"])
        .arg(&json)
        .output()
        .expect("the bench can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = std::fs::read_to_string(&json).expect("the bench writes its report");
    let report: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
    let rows = report["catch_up"].as_array().expect("rows of catch-up");
    for dataset in ["127kb", "2kb", "127kb-zstd", "2kb-zstd"] {
        let of_farlog =
            |row: &&serde_json::Value| row["dataset"] == dataset && row["tool"] == "farlog";
        let row = rows.iter().find(of_farlog).expect("a row for each dataset");
        assert_eq!(row["runs"][0]["records_too_many"], 0, "{row}");
        assert!(row["runs"][0]["mb_per_second"].as_f64() > Some(0.0), "{row}");
    }
    assert!(rows.iter().any(|row| row["tool"] == "mirror-maker2"), "{rows:?}");
    let latency = report["latency"].as_array().expect("rows of latency");
    assert!(latency.iter().any(|row| row["tool"] == "farlog"), "{latency:?}");
    assert!(report["relay"][0]["mb_per_second"].as_f64() > Some(0.0), "{report}");
}
