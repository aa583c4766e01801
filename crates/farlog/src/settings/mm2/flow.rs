//! One enabled flow becomes one link.

use std::time::Duration;

use farlog_link::Offsets;
use farlog_link::groups::{GroupSelection, Rewinds};
use farlog_link::topics::{
    ConfigSyncPolicy, DefaultsFrom, JavaPattern, Naming, NamingPolicy, PatternError, TopicFilter,
    TopicRule, TopicSelection, config_sync, naming,
};

use super::super::diagnostics::{Place, Report, Severity};
use super::super::security::Setting;
use super::super::topology::{
    ConfigSyncSettings, LinkLimits, LinkSettings, OnSourceDataLoss, ProducerIds, Start,
    Transactions,
};
use super::super::values;
use super::super::{CONFIG_SYNC_INTERVAL_DEFAULT, REFRESH_INTERVAL_DEFAULT};
use super::{Flow, Mm2File, beside};

const TOPICS_EXCLUDE_DEFAULT: [&str; 3] = [r"mm2.*\.internal", r".*\.replica", "__.*"];
pub(super) const GROUPS_EXCLUDE_DEFAULT: [&str; 3] = ["console-consumer-.*", "connect-.*", "__.*"];
/// MirrorMaker 2's default of `replication.factor`.
const REPLICATION_FACTOR_DEFAULT: i64 = 2;
const SECONDS_MAX: i64 = 10 * 365 * 86_400;

pub(super) fn compile(file: &Mm2File, flow: &Flow, report: &mut Report) -> Option<LinkSettings> {
    let config = &flow.config;
    let first_line = Place { line: 1, column: 1, length: 1 };
    let (start, on_source_data_loss) = start(file, flow, report);
    let topics = topics(flow, report);
    let sync = config_sync(flow, report);
    let factor = config.number("replication.factor", -1..=i64::from(i16::MAX), report);
    let factor = factor.unwrap_or(REPLICATION_FACTOR_DEFAULT);
    if factor == 0 {
        let place = config.get("replication.factor").map(|setting| setting.place);
        report.error(place, "`replication.factor` cannot be 0").hint("-1 is the brokers' default");
    }
    isolation(file, flow, report);
    let topics = topics?;
    let mirrormaker = beside::compile(file, flow, &topics.naming, report);
    Some(LinkSettings {
        name: flow.name(),
        family: None,
        place: config.get("enabled").map_or(first_line, |setting| setting.place.1),
        source: flow.source.clone(),
        target: flow.target.clone(),
        topics,
        replication_factor: i16::try_from(factor).ok().filter(|factor| *factor > 0),
        start,
        offsets: Offsets::Translate,
        transactions: Transactions::CommittedOnly,
        producer_ids: ProducerIds::Auto,
        rate_limit_bytes_per_second: None,
        groups: groups(flow, report)?,
        config_sync: sync?,
        refresh_interval: interval(flow, "refresh.topics", REFRESH_INTERVAL_DEFAULT, report),
        session_timeout: None,
        recompress: None,
        on_source_data_loss,
        limits: LinkLimits::default(),
        mirrormaker: Some(mirrormaker),
    })
}

/// `<prefix>.enabled` and `<prefix>.interval.seconds`; unset, Farlog's own interval counts.
fn interval(flow: &Flow, prefix: &str, default: Duration, report: &mut Report) -> Option<Duration> {
    let enabled = flow.config.boolean(&format!("{prefix}.enabled"), true, report);
    let key = format!("{prefix}.interval.seconds");
    let seconds = flow.config.number(&key, 1..=SECONDS_MAX, report);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    enabled.then(|| seconds.map_or(default, Duration::from_secs))
}

fn naming(flow: &Flow, report: &mut Report) -> Option<NamingPolicy> {
    let config = &flow.config;
    let class = config.text("replication.policy.class");
    let naming = match class {
        None | Some("org.apache.kafka.connect.mirror.DefaultReplicationPolicy") => Naming::Prefixed,
        Some("org.apache.kafka.connect.mirror.IdentityReplicationPolicy") => Naming::Mm2Identity,
        Some(class) => {
            let place = config.get("replication.policy.class").map(|setting| setting.place);
            report
                .error(place, format!("the replication policy {class} cannot run here"))
                .hint("DefaultReplicationPolicy and IdentityReplicationPolicy are built in");
            return None;
        }
    };
    let separator = config.text("replication.policy.separator");
    let separator = separator.unwrap_or(naming::DEFAULT_SEPARATOR);
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let place = config.get("replication.policy.separator").map(|setting| setting.place);
    if separator.is_empty() {
        report
            .error(place, "`replication.policy.separator` cannot be empty")
            .hint("for mirrors named as their topics: IdentityReplicationPolicy, no separator");
        return None;
    }
    if !separator.chars().all(legal) {
        report.error(place, format!("`{separator}` cannot stand in topic names"));
        return None;
    }
    let key = "replication.policy.internal.topic.separator.enabled";
    let internal = if config.boolean(key, true, report) { separator } else { "." };
    Some(NamingPolicy {
        separator: separator.to_owned(),
        internal_separator: internal.to_owned(),
        ..NamingPolicy::new(naming, &flow.source, &flow.target)
    })
}

fn topics(flow: &Flow, report: &mut Report) -> Option<TopicSelection> {
    let config = &flow.config;
    let naming = naming(flow, report);
    let include = config.list("topics", "topics", &[".*"]);
    let exclude = config.list("topics.exclude", "topics.blacklist", &TOPICS_EXCLUDE_DEFAULT);
    let include = rules(&include, config.get("topics"), report);
    let exclude = rules(&exclude, config.either("topics.exclude", "topics.blacklist"), report);
    if let (Some(setting), Some([])) = (config.get("topics"), include.as_deref()) {
        report.warning(setting.place, "`topics` is empty: only heartbeats topics are mirrored");
    }
    Some(TopicSelection {
        filter: TopicFilter { include: include?, exclude: exclude? },
        heartbeats: config.boolean("heartbeats.replication.enabled", true, report),
        naming: naming?,
    })
}

/// The rules of a list. Entries that cannot reach into each other stand alone, so that plans show
/// them as they were written; otherwise the list is one joined pattern, as it is to Java.
fn rules(
    list: &[String],
    setting: Option<&Setting>,
    report: &mut Report,
) -> Option<Vec<TopicRule>> {
    let mut complain = |error: PatternError| {
        let error = report.error(setting.map(|setting| setting.place), error.to_string());
        error.hint("in a properties file a backslash is written twice: `\\\\.`");
    };
    let reaching = |entry: &String| entry.contains(['(', '[', '\\']) && !is_escaped_dots(entry);
    if list.iter().any(reaching) && list.len() > 1 {
        return match JavaPattern::joined(list) {
            Ok(joined) => Some(joined.into_iter().map(TopicRule::Pattern).collect()),
            Err(error) => {
                complain(error);
                None
            }
        };
    }
    let mut rules = Vec::new();
    for entry in list {
        let name = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        if !entry.is_empty() && entry.chars().all(name) {
            rules.push(TopicRule::Literal(entry.clone()));
            continue;
        }
        match JavaPattern::new(entry) {
            Ok(pattern) => rules.push(TopicRule::Pattern(pattern)),
            Err(error) => {
                complain(error);
                return None;
            }
        }
    }
    Some(rules)
}

/// Only `\.` for a backslash, and neither groups nor classes.
fn is_escaped_dots(entry: &str) -> bool {
    !entry.replace("\\.", "").contains(['(', '[', '\\'])
}

fn config_sync(flow: &Flow, report: &mut Report) -> Option<Option<ConfigSyncSettings>> {
    let config = &flow.config;
    let interval = interval(flow, "sync.topic.configs", CONFIG_SYNC_INTERVAL_DEFAULT, report);
    let keys = ("config.properties.exclude", "config.properties.blacklist");
    let list = config.list(keys.0, keys.1, &config_sync::DEFAULT_EXCLUDES);
    let exclude = match JavaPattern::joined(&list) {
        Ok(exclude) => exclude,
        Err(error) => {
            let place = config.either(keys.0, keys.1).map(|setting| setting.place);
            report.error(place, error.to_string());
            return None;
        }
    };
    let defaults_from = match config.text("use.defaults.from") {
        // Bare, the key never reaches MirrorMaker 2's filter; `config` then does not hold it.
        Some("source") => DefaultsFrom::Source,
        Some("target") | None => DefaultsFrom::Target,
        Some(other) => {
            let place = config.get("use.defaults.from").map(|setting| setting.place);
            let message = format!("`use.defaults.from` must be source or target, not `{other}`");
            report.error(place, message);
            DefaultsFrom::Target
        }
    };
    let policy = ConfigSyncPolicy { exclude, defaults_from };
    Some(interval.map(|interval| ConfigSyncSettings { policy, interval }))
}

/// Which groups follow: those that MirrorMaker 2 would keep up to date, if it is told to.
fn groups(flow: &Flow, report: &mut Report) -> Option<Option<GroupSelection>> {
    let config = &flow.config;
    let follow = config.boolean("sync.group.offsets.enabled", false, report);
    let include = config.list("groups", "groups", &[".*"]);
    let exclude = config.list("groups.exclude", "groups.blacklist", &GROUPS_EXCLUDE_DEFAULT);
    let include = rules(&include, config.get("groups"), report)?;
    let exclude = rules(&exclude, config.either("groups.exclude", "groups.blacklist"), report)?;
    let filter = TopicFilter { include, exclude };
    // MirrorMaker 2 leaves a group where it is that went back at the source.
    Some(follow.then_some(GroupSelection { filter, rewinds: Rewinds::Ignore }))
}

/// A setting of the flow's source consumer; later layers win.
fn consumer_setting<'f>(file: &'f Mm2File, flow: &'f Flow, key: &str) -> Option<&'f Setting> {
    flow.config
        .get(&format!("source.consumer.{key}"))
        .or_else(|| file.get(&format!("{}.consumer.{key}", flow.source)))
        .or_else(|| flow.config.get(&format!("consumer.{key}")))
}

fn start(file: &Mm2File, flow: &Flow, report: &mut Report) -> (Start, OnSourceDataLoss) {
    let Some(setting) = consumer_setting(file, flow, "auto.offset.reset") else {
        return (Start::Earliest, OnSourceDataLoss::Continue);
    };
    match values::java_trim(&setting.value).to_ascii_lowercase().as_str() {
        "earliest" => (Start::Earliest, OnSourceDataLoss::Continue),
        "latest" => (Start::Latest, OnSourceDataLoss::Continue),
        "none" => (Start::Earliest, OnSourceDataLoss::Stop),
        other => {
            let message = format!("`auto.offset.reset` = {other} is not supported");
            report.error(setting.place, message).hint("one of earliest, latest, none");
            (Start::Earliest, OnSourceDataLoss::Continue)
        }
    }
}

fn isolation(file: &Mm2File, flow: &Flow, report: &mut Report) {
    if let Some(setting) = consumer_setting(file, flow, "isolation.level")
        && values::java_trim(&setting.value).eq_ignore_ascii_case("read_uncommitted")
    {
        let message = "Farlog never mirrors aborted records, whatever `isolation.level` says";
        report.say(Severity::Info, Some(setting.place), message);
    }
}
