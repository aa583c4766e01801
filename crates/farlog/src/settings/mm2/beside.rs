//! Where a MirrorMaker 2 that runs from this file keeps what it knows of a flow, and which groups
//! it translates: what `farlog observe` needs beyond the link.

use farlog_link::mm2::OffsetSyncsLocation;
use farlog_link::topics::{JavaPattern, NamingPolicy};

use super::super::diagnostics::Report;
use super::super::topology::MirrorMakerSettings;
use super::super::values;
use super::{Flow, Mm2File};

const GROUPS_EXCLUDE_DEFAULT: [&str; 3] = ["console-consumer-.*", "connect-.*", "__.*"];

pub(super) fn compile(
    file: &Mm2File,
    flow: &Flow,
    naming: &NamingPolicy,
    report: &mut Report,
) -> MirrorMakerSettings {
    let config = &flow.config;
    let location = location(flow, report);
    let pair = farlog_link::mm2::Pair { naming: naming.clone(), location };
    let groups = config.list("groups", "groups", &[".*"]);
    let exclude = config.list("groups.exclude", "groups.blacklist", &GROUPS_EXCLUDE_DEFAULT);
    let worker = |key: &str| {
        let of_target = file.get(&format!("{}.{key}", flow.target));
        of_target.map(|setting| values::java_trim(&setting.value).to_owned())
    };
    // Written bare, keys of the offset storage count for every worker, and more than its own.
    let bare = file.get("offset.storage.topic");
    let bare = bare.map(|setting| values::java_trim(&setting.value).to_owned());
    MirrorMakerSettings {
        groups: pattern(flow, "groups", &groups, report),
        groups_exclude: pattern(flow, "groups.exclude", &exclude, report),
        syncs_groups: config.boolean("sync.group.offsets.enabled", false, report),
        connect_group: worker("group.id").unwrap_or_else(|| pair.connect_group()),
        source_offsets_topic: bare
            .or_else(|| worker("offset.storage.topic"))
            .unwrap_or_else(|| pair.source_offsets_topic()),
        pair,
    }
}

fn location(flow: &Flow, report: &mut Report) -> OffsetSyncsLocation {
    let key = "offset-syncs.topic.location";
    match flow.config.text(key) {
        None | Some("source") => OffsetSyncsLocation::Source,
        Some("target") => OffsetSyncsLocation::Target,
        Some(other) => {
            let place = flow.config.get(key).map(|setting| setting.place);
            report.error(place, format!("`{key}` must be source or target, not `{other}`"));
            OffsetSyncsLocation::Source
        }
    }
}

fn pattern(flow: &Flow, key: &str, list: &[String], report: &mut Report) -> Option<JavaPattern> {
    JavaPattern::joined(list).unwrap_or_else(|error| {
        let place = flow.config.get(key).map(|setting| setting.place);
        report.error(place, error.to_string());
        None
    })
}
