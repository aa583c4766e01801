//! MirrorMaker 2's own classes against ours: the bytes of its records, and what its store of
//! offset syncs makes of positions.

use std::fmt::Write as _;

use farlog_link::mm2::offset_sync_store::Translation;
use farlog_link::mm2::{Checkpoint, Heartbeat, OffsetSync, OffsetSyncStore};
use farlog_testkit::history::random::Random;
use farlog_testkit::kafka::KafkaVersion;
use farlog_testkit::tools::Tool;

const HISTORIES: u64 = 400;

/// Questions, and what we think the answers are.
#[derive(Default)]
struct Dialogue {
    questions: String,
    answers: String,
}

impl Dialogue {
    fn ask(&mut self, question: &str, answer: &str) {
        writeln!(self.questions, "{question}").unwrap();
        writeln!(self.answers, "{answer}").unwrap();
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.questions, "{what}").unwrap();
    }

    fn is_confirmed_by(&self, version: KafkaVersion) {
        let oracle = Tool::java_client(version, "MirrorMakerOracle").input(self.questions.clone());
        let said = oracle.run().unwrap().stdout;
        let both = said.lines().zip(self.answers.lines()).enumerate();
        for (index, (said, expected)) in both {
            assert_eq!(said, expected, "answer {index} of MirrorMaker {version}");
        }
        assert_eq!(said.lines().count(), self.answers.lines().count());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(text: &str) -> String {
    format!("x{}", hex(text.as_bytes()))
}

fn records(dialogue: &mut Dialogue) {
    for (name, metadata) in [("orders", ""), ("a.b-c_d", "mé"), ("", "𝄞 \u{7f}"), ("t", "\u{0}")]
    {
        for (partition, upstream_offset, downstream_offset) in
            [(0, 0, 0), (3, 1000, 970), (i32::MAX, i64::MAX, -1)]
        {
            let topic = name.to_owned();
            let sync = OffsetSync { topic, partition, upstream_offset, downstream_offset };
            let place = format!("{} {partition} {upstream_offset} {downstream_offset}", text(name));
            let bytes = format!("{} {}", hex(&sync.key().unwrap()), hex(&sync.value()));
            dialogue.ask(&format!("sync {place}"), &bytes);
            let checkpoint = Checkpoint {
                group: "billing".to_owned(),
                topic: name.to_owned(),
                partition,
                upstream_offset,
                downstream_offset,
                metadata: metadata.to_owned(),
            };
            let question = format!("checkpoint {} {place} {}", text("billing"), text(metadata));
            let (key, value) = (checkpoint.key().unwrap(), checkpoint.value().unwrap());
            dialogue.ask(&question, &format!("{} {}", hex(&key), hex(&value)));
            let heartbeat = Heartbeat {
                source_cluster_alias: name.to_owned(),
                target_cluster_alias: metadata.to_owned(),
                timestamp_ms: upstream_offset,
            };
            let question = format!("heartbeat {} {} {upstream_offset}", text(name), text(metadata));
            let (key, value) = (heartbeat.key().unwrap(), heartbeat.value());
            dialogue.ask(&question, &format!("{} {}", hex(&key), hex(&value)));
        }
    }
}

/// One partition's life: mostly steady, with gaps, bursts and now and then a rewind.
fn history(seed: u64, dialogue: &mut Dialogue) {
    let mut random = Random::named(seed, "offset syncs");
    dialogue.tell("new");
    let mut store: Option<OffsetSyncStore> = None;
    let stride = *random.pick(&[1, 2, 101, 1_000, 1 << 40]);
    let (mut upstream, mut downstream) = (random.below(1_000), random.below(1_000));
    for _ in 0..random.between(1, 300) {
        let step = if random.chance(1, 4) { random.below(stride * 4) } else { stride };
        match random.below(100) {
            0 => upstream = random.below(upstream + 1),
            1 => downstream = random.below(downstream + 1),
            // The same record again.
            2 => {}
            _ => {
                upstream += step;
                downstream += random.between(1, step.max(1));
            }
        }
        let (up, down) = (upstream as i64, downstream as i64);
        dialogue.tell(&format!("add {up} {down}"));
        match &mut store {
            Some(store) => store.add(up, down),
            None => store = Some(OffsetSyncStore::new(up, down)),
        }
        let store = store.as_ref().unwrap();
        for _ in 0..random.below(3) {
            let magnitude = random.below(44);
            let behind = random.below((1 << magnitude) + 1);
            let position = upstream.saturating_sub(behind) + random.below(3);
            let answer = match store.translate(position as i64) {
                Translation::To(offset) => offset.to_string(),
                Translation::TooOld => "-1".to_owned(),
            };
            dialogue.ask(&format!("ask {position}"), &answer);
        }
    }
}

#[test]
fn records_and_translations_are_those_of_mirrormaker() {
    let mut dialogue = Dialogue::default();
    records(&mut dialogue);
    (0..HISTORIES).for_each(|seed| history(seed, &mut dialogue));
    dialogue.is_confirmed_by(KafkaVersion::V4_3);
}
