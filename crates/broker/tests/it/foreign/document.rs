//! `docs/broker-clients.md`: the table of clients and features, from what came out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use super::{Cell, Cells, FEATURES};

const PATH: &str = "../../docs/broker-clients.md";

const BEGINNING: &str = "\
# Which clients work with the embedded broker, and what of them

Made by running each of them, in the version that its program in `crates/broker/tests/clients` pins
(`FARLOG_CLIENTS= FARLOG_WRITE_DOCS=1 cargo test -p farlog-broker --test it foreign`); every push
runs all but kafka-python again, which in one of some eight runs stands still for good by itself.
Java is Kafka's own client, confluent-kafka is librdkafka, and kcat is librdkafka as Debian 12 has
it (2.0.2).

✓ works: what came back was compared, the stored batches were looked into for codec and producer id,
and what must be refused was refused with the right error. A letter: the client itself does not have
it, see below. What the broker does not serve would be named, too; nothing that was tried is. Of
kcat and of Kafka's load tool transactions only commit; the copier among Kafka's tools aborts, too.

";

/// Fails if the document is not what came out; writes it if asked to. What could not be run on this
/// machine is taken as the document has it.
pub(super) fn check(tried: &[(&str, Option<Cells>)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let missing: Vec<&str> =
        tried.iter().filter(|(_, cells)| cells.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        println!("docs/broker-clients.md is not checked: {} did not run", missing.join(", "));
        return;
    }
    let text = text_of(tried);
    if env::var_os("FARLOG_WRITE_DOCS").is_some() {
        fs::write(&path, &text).expect("the document is written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "docs/broker-clients.md is not what the clients say");
}

fn text_of(tried: &[(&str, Option<Cells>)]) -> String {
    let mut text = BEGINNING.to_owned();
    let mut reasons: BTreeMap<&str, char> = BTreeMap::new();
    let mut in_order: Vec<&str> = Vec::new();
    text.push_str("| |");
    for (name, _) in tried {
        let _ = write!(text, " {name} |");
    }
    let _ = writeln!(text, "\n|---|{}", ":-:|".repeat(tried.len()));
    for (feature, title) in FEATURES {
        let _ = write!(text, "| {title} |");
        for (_, cells) in tried {
            match cells.as_ref().and_then(|cells| cells.get(feature)) {
                Some(Cell::Works) => text.push_str(" ✓ |"),
                Some(Cell::Cannot(why)) => {
                    let letter = *reasons.entry(why).or_insert_with(|| {
                        in_order.push(why);
                        char::from(b'a' + u8::try_from(in_order.len() - 1).expect("few reasons"))
                    });
                    let _ = write!(text, " {letter} |");
                }
                other => panic!("{feature}: {other:?} is not for the document"),
            }
        }
        text.push('\n');
    }
    text.push('\n');
    for why in in_order {
        let _ = writeln!(text, "- {}: {why}", reasons[why]);
    }
    text
}
