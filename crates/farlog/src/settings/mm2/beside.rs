//! Where a MirrorMaker 2 that runs from this file keeps what it knows of a flow, and which groups
//! it translates: what `farlog observe` needs beyond the link, and what the link writes for those
//! who read it.

use std::time::Duration;

use farlog_link::mm2::{HeartbeatPair, MirrorMakerTopics, OffsetSyncsLocation};
use farlog_link::topics::{JavaPattern, NamingPolicy};

use super::super::diagnostics::Report;
use super::super::topology::MirrorMakerSettings;
use super::super::values;
use super::flow::GROUPS_EXCLUDE_DEFAULT;
use super::{Flow, Mm2File};

const OFFSET_LAG_MAX_DEFAULT: i64 = 100;
const SECONDS_MAX: i64 = 10 * 365 * 86_400;

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
    let topics = MirrorMakerTopics {
        heartbeats: heartbeats(file, flow),
        heartbeat_interval: seconds(flow, "emit.heartbeats", 1, report),
        heartbeats_replication_factor: factor(flow, "heartbeats", report),
        offset_lag_max: config.boolean("emit.offset-syncs.enabled", true, report).then(|| {
            config.number("offset.lag.max", 0..=i64::MAX, report).unwrap_or(OFFSET_LAG_MAX_DEFAULT)
        }),
        offset_syncs_replication_factor: factor(flow, "offset-syncs", report),
        checkpoint_interval: config
            .boolean("emit.checkpoints.enabled", true, report)
            .then(|| seconds(flow, "emit.checkpoints", 60, report)),
        checkpoints_replication_factor: factor(flow, "checkpoints", report),
        groups: pattern(flow, "groups", &groups, report),
        groups_exclude: pattern(flow, "groups.exclude", &exclude, report),
        pair: pair.clone(),
    };
    MirrorMakerSettings {
        topics,
        connect_group: worker("group.id").unwrap_or_else(|| pair.connect_group()),
        source_offsets_topic: bare
            .or_else(|| worker("offset.storage.topic"))
            .unwrap_or_else(|| pair.source_offsets_topic()),
    }
}

/// The pairs whose heartbeats the flow's link writes: its own, and the one back where no flow of
/// its own writes them.
fn heartbeats(file: &Mm2File, flow: &Flow) -> Vec<HeartbeatPair> {
    let (source, target) = (flow.source.as_str(), flow.target.as_str());
    let own = [(source, target)].into_iter().filter(|(from, to)| file.has_heartbeats(from, to));
    let back = [(target, source)]
        .into_iter()
        .filter(|(from, to)| file.has_heartbeats(from, to) && !file.is_flow_enabled(from, to));
    let pair = |(from, to): (&str, &str)| HeartbeatPair {
        source_alias: from.to_owned(),
        target_alias: to.to_owned(),
    };
    own.chain(back).map(pair).collect()
}

fn seconds(flow: &Flow, prefix: &str, default: u64, report: &mut Report) -> Duration {
    let key = format!("{prefix}.interval.seconds");
    let seconds = flow.config.number(&key, 1..=SECONDS_MAX, report);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(default))
}

/// Three is MirrorMaker 2's default for each of its topics.
fn factor(flow: &Flow, topic: &str, report: &mut Report) -> i16 {
    let key = format!("{topic}.topic.replication.factor");
    let factor = flow.config.number(&key, -1..=i64::from(i16::MAX), report);
    factor.and_then(|factor| i16::try_from(factor).ok()).unwrap_or(3)
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
