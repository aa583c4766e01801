//! What MirrorMaker 2 would do with this file and this release does not, said once per feature and
//! loudly: a person who relies on it must not find out at the failover.

use super::super::diagnostics::{Report, Severity};
use super::{Flow, Mm2File};

struct Feature {
    switch: &'static str,
    by_default: bool,
    message: &'static str,
    until_then: &'static str,
}

const FEATURES: [Feature; 1] = [Feature {
    switch: "sync.topic.acls.enabled",
    by_default: true,
    message: "ACLs of topics are not copied",
    until_then: "grant READ on the mirrors to those who need them",
}];

pub(super) fn announce(file: &Mm2File, flows: &[Flow], report: &mut Report) {
    if flows.is_empty() {
        return;
    }
    for feature in &FEATURES {
        let asking: Vec<&Flow> = flows
            .iter()
            .filter(|flow| flow.config.boolean(feature.switch, feature.by_default, report))
            .collect();
        let Some(first) = asking.first() else { continue };
        let names: Vec<String> = asking.iter().map(|flow| flow.name()).collect();
        let place = first.config.get(feature.switch).map(|setting| setting.place);
        let message = format!("{} ({})", feature.message, names.join(", "));
        let until_then = feature.until_then;
        let switch = feature.switch;
        report
            .say(Severity::NotYet, place, message)
            .hint(format!("{until_then}\nset `{switch} = false` to say that you know"));
    }
    let place = file.get("clusters").map(|setting| setting.place);
    report
        .say(Severity::NotYet, place, "positions of a running MirrorMaker 2 are not taken over")
        .hint("topics that MirrorMaker 2 already filled are refused, not filled twice");
}
