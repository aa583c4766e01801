//! `farlog demo`, as README's first command starts it.

use std::time::Duration;

use farlog_testkit::process::{Program, Signal};
use farlog_testkit::scratch::Scratch;

use crate::binary::{FARLOG, PATIENCE, farlog};

#[test]
fn the_demo_mirrors_and_tells_that_nothing_was_lost() {
    let output = farlog(&["demo", "--seconds", "3", "--rate", "500"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("ready in "), "{stdout}");
    assert!(stdout.contains("none lost, none twice, none out of order"), "{stdout}");
}

#[test]
fn ctrl_c_ends_the_demo_in_order() {
    let scratch = Scratch::new("demo").unwrap();
    let output = scratch.join("output");
    let mut demo =
        Program::new("farlog demo", FARLOG, scratch.path(), &output).arg("demo").spawn().unwrap();
    demo.wait_for(PATIENCE, |demo| demo.said("mirrored")).unwrap();
    demo.signal(Signal::Interrupt).unwrap();
    let status = demo.wait(Duration::from_secs(30)).unwrap();
    assert!(status.is_some_and(|status| status.success()), "{}", demo.tail());
    assert!(demo.said("none lost"), "{}", demo.tail());
}
