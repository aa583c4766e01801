//! `farlog demo`, as README's first command starts it.

use std::fs;
use std::time::{Duration, Instant};

use farlog_client::admin::GroupDescription;
use farlog_client::{Cluster, ClusterOptions, ServerAddress};
use farlog_testkit::process::{Program, Signal, Supervised};
use farlog_testkit::scratch::Scratch;
use farlog_testkit::tools::Tool;

use crate::binary::{FARLOG, PATIENCE, farlog};

/// How often to look.
const LOOK: Duration = Duration::from_millis(50);

#[test]
fn the_demo_mirrors_and_tells_that_nothing_was_lost() {
    let output = farlog(&["demo", "--seconds", "3", "--rate", "500"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("ready in "), "{stdout}");
    assert!(stdout.contains("none lost, none twice, none out of order"), "{stdout}");
    assert!(stdout.contains("billing has committed them all"), "{stdout}");
}

#[test]
fn ctrl_c_ends_the_demo_in_order() {
    let scratch = Scratch::new("demo").unwrap();
    let output = scratch.join("output");
    let mut demo =
        Program::new("farlog demo", FARLOG, scratch.path(), &output).arg("demo").spawn().unwrap();
    demo.wait_for(PATIENCE, |demo| demo.said("mirrored")).unwrap();
    demo.signal(Signal::Interrupt).unwrap();
    ends_in_order(&mut demo);
}

/// The group is one like any other: a member of somebody else's joins, gets its share, and leaves.
#[tokio::test(flavor = "multi_thread")]
async fn others_may_join_the_group_of_the_demo() {
    let scratch = Scratch::new("demo").unwrap();
    let output = scratch.join("output");
    let mut demo =
        Program::new("farlog demo", FARLOG, scratch.path(), &output).arg("demo").spawn().unwrap();
    demo.wait_for(PATIENCE, |demo| committed(demo) > 0).unwrap();
    let text = fs::read_to_string(demo.output()).unwrap();
    let (_, source) = text.split_once("us-east at ").unwrap();
    let (source, _) = source.split_once(',').unwrap();
    let servers = ServerAddress::parse_list(source).unwrap();
    let cluster = Cluster::connect(ClusterOptions::new(servers)).await.unwrap();

    let described = settled(&cluster).await;
    assert_eq!((&*described.protocol_type, &*described.protocol), ("consumer", "range"));
    // The first by its name, so that it gets the first partition.
    let join = ["-q", "-G", "billing", "-X", "client.id=a", "-c", "20", "-f", "%p\n", "orders"];
    let join = Tool::kcat().args(["-b", source]).args(join);
    let said = tokio::task::spawn_blocking(move || join.run()).await.unwrap();
    assert_eq!(said.unwrap().stdout, "0\n".repeat(20));
    settled(&cluster).await;

    let before = committed(&demo);
    demo.wait_for(PATIENCE, |demo| committed(demo) > before).unwrap();
    demo.signal(Signal::Interrupt).unwrap();
    ends_in_order(&mut demo);
}

fn ends_in_order(demo: &mut Supervised) {
    let status = demo.wait(PATIENCE).unwrap();
    assert!(status.is_some_and(|status| status.success()), "{}", demo.tail());
    assert!(demo.said("none lost"), "{}", demo.tail());
    assert!(demo.said("billing has committed them all"), "{}", demo.tail());
}

/// What the last line says.
fn committed(demo: &Supervised) -> u64 {
    let text = fs::read_to_string(demo.output()).unwrap_or_default();
    let said = text.rsplit_once("billing at ").map(|(_, said)| said.split_whitespace().next());
    said.flatten().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Waits until nobody but the demo's own two is in the group.
async fn settled(cluster: &Cluster) -> GroupDescription {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut described = cluster.describe_groups(&["billing".to_owned()]).await.unwrap();
        let group = described.remove("billing").unwrap().unwrap();
        if group.state == "Stable" && group.members.len() == 2 {
            return group;
        }
        assert!(Instant::now() < deadline, "{group:?}");
        tokio::time::sleep(LOOK).await;
    }
}
