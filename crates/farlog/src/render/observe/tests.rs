//! What is said of positions that are not simply exact.

use farlog_client::TopicPartition;

use super::*;

fn flow(positions: Vec<GroupPlace>) -> FlowView {
    FlowView {
        flow: "A->B".to_owned(),
        source: "A".to_owned(),
        target: "B".to_owned(),
        state: "not-running",
        heartbeat_age_ms: Some(120_000),
        connect_group: "A-mm2".to_owned(),
        workers: Vec::new(),
        partitions: Vec::new(),
        groups: positions.into_iter().map(group_place).collect(),
        notes: vec!["cluster B has no topic heartbeats".to_owned()],
        error: String::new(),
    }
}

fn position(group: &str, exact: Place, checkpoint: Option<i64>) -> GroupPlace {
    GroupPlace {
        group: group.to_owned(),
        source: TopicPartition::new("orders", 0),
        mirror: TopicPartition::new("A.orders", 0),
        committed_offset: 100,
        exact: Some(exact),
        checkpoint: checkpoint.map(|downstream| (100, downstream)),
        after_restart: None,
        at_target: None,
        mirror_start: 10,
        problem: String::new(),
    }
}

#[test]
fn every_fate_has_its_words() {
    let view = flow(vec![
        position("bounds", Place::Between(50, 60), Some(40)),
        position("deleted", Place::Exact(90), Some(3)),
        position("exact", Place::Exact(70), Some(70)),
        GroupPlace { at_target: Some(99), ..position("rewound", Place::Exact(90), Some(85)) },
        position("unknown", Place::Exact(90), None),
    ]);
    let words: Vec<String> = view.groups.iter().map(failover).collect();
    assert_eq!(
        words,
        [
            "reads 10..20 again",
            // What the mirror no longer has is not read.
            "reads 80 again",
            "goes on exactly",
            "leaves out 9",
            "not translated: auto.offset.reset decides",
        ]
    );
    let shown = text(&ObserveView { at_ms: 0, flows: vec![view] }, false);
    for line in [
        "A->B: MirrorMaker 2 is not running: heartbeat 2 min ago, 0 workers in group A-mm2\n",
        "bounds   orders          0        100  50..60          40          -  reads 10..20",
        "\nA failover now reads 90..100 records again and leaves out 9; 1 position is not \
         translated at all. With Farlog's exact map: none.\n",
        "\nnote: cluster B has no topic heartbeats\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
}
