//! README's first command, for a few seconds.

use std::process::Command;

#[test]
fn the_demo_mirrors_its_load_and_ends_by_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["demo", "--seconds", "4"])
        .output()
        .expect("the demo can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("Try in another terminal"), "{text}");
    let summary = text.lines().last().unwrap_or_default();
    assert!(summary.contains("none lost, none twice, none out of order"), "{text}");
    assert!(!summary.starts_with("0 records"), "{text}");
}
