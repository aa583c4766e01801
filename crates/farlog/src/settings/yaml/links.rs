//! The `links` and `families` of `farlog.yaml` as links of the topology.

use std::time::Duration;

use farlog_link::Offsets;
use farlog_link::groups::GroupSelection;
use farlog_link::topics::{
    ConfigSyncPolicy, JavaPattern, Naming, NamingPolicy, TopicFilter, TopicRule, TopicSelection,
    naming,
};

use farlog_wire::records::Compression;

use super::super::diagnostics::{Place, Report, nearest};
use super::super::topology::{
    ConfigSyncSettings, LinkLimits, LinkSettings, OnSourceDataLoss, ProducerIds, Start,
    Transactions,
};
use super::super::values;
use super::super::{
    CONFIG_SYNC_INTERVAL_DEFAULT, REFRESH_INTERVAL_DEFAULT, SESSION_TIMEOUT_DEFAULT,
};
use super::document::NodeKind;
use super::model::{self, Family, Link};
use super::{Document, groups};

pub(super) fn compile(document: &Document, report: &mut Report) -> Vec<LinkSettings> {
    check_aliases(document, report);
    let mut links = Vec::new();
    for (name, value) in document.entries("families") {
        if let Some(family) = document.parse::<Family>(value, report) {
            links.extend(family_links(document, name, &family, report));
        }
    }
    for (name, value) in document.entries("links") {
        if let Some(link) = document.parse::<Link>(value, report) {
            links.extend(bare_link(document, name, &link, report));
        }
    }
    links
}

fn bare_link(
    document: &Document,
    name: &str,
    link: &Link,
    report: &mut Report,
) -> Option<LinkSettings> {
    let path = ["links", name];
    let topics = topics(document, &path, Wanted::of_link(link), report)?;
    let naming = NamingPolicy {
        separator: separator(document, name, link, report)?,
        ..NamingPolicy::new(naming_of(link.naming), &link.source, &link.target)
    };
    let duration = |span: &Option<model::Span>, default: Duration| {
        span.as_ref().and_then(|span| values::duration(&span.0).ok()).unwrap_or(default)
    };
    let size = |size: &Option<model::Size>| {
        size.as_ref().and_then(|size| values::bytes(&size.0, false).ok())
    };
    let rate = link.rate_limit.as_ref().and_then(|rate| values::bytes(&rate.0, true).ok());
    let interval = duration(&link.config_sync.interval, CONFIG_SYNC_INTERVAL_DEFAULT);
    let policy = match ConfigSyncPolicy::with_default_excludes(&link.config_sync.exclude) {
        Ok(policy) => policy,
        Err(error) => {
            let place = document.place(&["links", name, "config-sync", "exclude"]);
            report.error((Report::MAIN, place), error.to_string());
            return None;
        }
    };
    Some(LinkSettings {
        name: name.to_owned(),
        family: None,
        place: document.key_place(&path),
        source: link.source.clone(),
        target: link.target.clone(),
        topics: TopicSelection { filter: topics, heartbeats: false, naming },
        replication_factor: link.replication_factor,
        start: start(&link.start),
        offsets: offsets(link.offsets),
        transactions: Transactions::CommittedOnly,
        producer_ids: match link.producer_ids {
            model::ProducerIds::Auto => ProducerIds::Auto,
            model::ProducerIds::Tagged => ProducerIds::Tagged,
            model::ProducerIds::Allocated => ProducerIds::Allocated,
        },
        rate_limit_bytes_per_second: rate,
        groups: groups::of_link(document, name, &link.groups, report),
        config_sync: link.config_sync.enabled.then_some(ConfigSyncSettings { policy, interval }),
        refresh_interval: Some(duration(&link.refresh_interval, REFRESH_INTERVAL_DEFAULT)),
        session_timeout: link
            .session_timeout
            .as_ref()
            .map(|_| duration(&link.session_timeout, SESSION_TIMEOUT_DEFAULT)),
        recompress: link.recompress.map(codec),
        on_source_data_loss: match link.on_source_data_loss {
            model::OnSourceDataLoss::Continue => OnSourceDataLoss::Continue,
            model::OnSourceDataLoss::Stop => OnSourceDataLoss::Stop,
        },
        limits: LinkLimits {
            fetch_partition_bytes: size(&link.limits.fetch_partition_bytes),
            fetch_bytes: size(&link.limits.fetch_bytes),
            in_flight_batches: link.limits.in_flight_batches,
            memory_bytes: size(&link.limits.memory_bytes),
        },
        mirrormaker: None,
    })
}

fn codec(recompress: model::Recompress) -> Compression {
    match recompress {
        model::Recompress::Zstd => Compression::Zstd,
        model::Recompress::Lz4 => Compression::Lz4,
        model::Recompress::Snappy => Compression::Snappy,
        model::Recompress::Gzip => Compression::Gzip,
    }
}

fn family_links(
    document: &Document,
    name: &str,
    family: &Family,
    report: &mut Report,
) -> Vec<LinkSettings> {
    let path = ["families", name];
    let key_place = document.key_place(&path);
    if matches!(family.pattern, model::Pattern::None) {
        return Vec::new();
    }
    let Some(source) = &family.write_cluster else {
        if !document.has(&["families", name, "write-cluster"]) {
            report
                .error((Report::MAIN, key_place), format!("family {name} has no `write-cluster`"))
                .hint("it names the one cluster where the family's writes are accepted");
        }
        return Vec::new();
    };
    if family.failover_to.is_empty() && !document.has(&["families", name, "failover-to"]) {
        report
            .error((Report::MAIN, key_place), format!("family {name} is replicated nowhere"))
            .hint("name clusters in `failover-to`, or write `pattern: none`");
    }
    let Some(filter) = topics(document, &path, Wanted::of_family(family), report) else {
        return Vec::new();
    };
    let groups = groups::of_family(document, name, family.groups.as_deref(), report);
    let mut links = Vec::new();
    for (index, target) in family.failover_to.iter().enumerate() {
        let index = index.to_string();
        let place = document.place(&["families", name, "failover-to", &index]);
        if target == source {
            report.error(
                (Report::MAIN, place),
                format!("family {name} cannot fail over to its own write cluster"),
            );
            continue;
        }
        let naming = NamingPolicy::new(naming_of(family.naming), source, target);
        let selection = TopicSelection { filter: filter.clone(), heartbeats: false, naming };
        let offsets = offsets(family.offsets);
        let link = family_link(name, key_place, selection, groups.clone());
        links.push(LinkSettings { offsets, ..link });
    }
    links
}

fn family_link(
    family: &str,
    place: Place,
    topics: TopicSelection,
    groups: GroupSelection,
) -> LinkSettings {
    let (source, target) = (&topics.naming.source_alias, &topics.naming.target_alias);
    LinkSettings {
        name: format!("{family}:{source}->{target}"),
        family: Some(family.to_owned()),
        place,
        source: source.clone(),
        target: target.clone(),
        topics,
        replication_factor: None,
        start: Start::Earliest,
        offsets: Offsets::Translate,
        transactions: Transactions::CommittedOnly,
        producer_ids: ProducerIds::Auto,
        rate_limit_bytes_per_second: None,
        groups: Some(groups),
        config_sync: ConfigSyncPolicy::with_default_excludes(&[])
            .ok()
            .map(|policy| ConfigSyncSettings { policy, interval: CONFIG_SYNC_INTERVAL_DEFAULT }),
        refresh_interval: Some(REFRESH_INTERVAL_DEFAULT),
        session_timeout: None,
        recompress: None,
        on_source_data_loss: OnSourceDataLoss::Continue,
        limits: LinkLimits::default(),
        mirrormaker: None,
    }
}

fn naming_of(naming: model::Naming) -> Naming {
    match naming {
        model::Naming::Same => Naming::Same,
        model::Naming::Prefixed => Naming::Prefixed,
    }
}

fn offsets(offsets: model::Offsets) -> Offsets {
    match offsets {
        model::Offsets::Translate => Offsets::Translate,
        model::Offsets::Preserve => Offsets::Preserve,
    }
}

fn start(start: &model::Start) -> Start {
    match start {
        model::Start::At(model::StartAt::Earliest) => Start::Earliest,
        model::Start::At(model::StartAt::Latest) => Start::Latest,
        model::Start::From(from) => values::instant_unix_ms(&from.timestamp.0)
            .map_or(Start::Earliest, |unix_ms| Start::Timestamp { unix_ms }),
    }
}

/// Every alias in the file must be declared, also in links that are wrong in other ways.
fn check_aliases(document: &Document, report: &mut Report) {
    let named = [
        ("links", "source"),
        ("links", "target"),
        ("families", "write-cluster"),
        ("families", "failover-to"),
    ];
    let mut used = Vec::new();
    for (section, field) in named {
        let Some(NodeKind::Map(entries)) = document.root.get(section).map(|node| &node.kind) else {
            continue;
        };
        for node in entries.iter().filter_map(|(_, node)| node.get(field)) {
            match &node.kind {
                NodeKind::List(items) => used.extend(items),
                _ => used.push(node),
            }
        }
    }
    let declared = document.keys("clusters");
    for node in used {
        let NodeKind::Scalar { text: alias, .. } = &node.kind else { continue };
        if declared.contains(&alias.as_str()) {
            continue;
        }
        let place = (Report::MAIN, node.place);
        let error = report.error(place, format!("`clusters` has no cluster `{alias}`"));
        error.hint = Some(match nearest(alias, declared.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the clusters are {}", declared.join(", ")),
        });
    }
}

fn separator(document: &Document, name: &str, link: &Link, report: &mut Report) -> Option<String> {
    let Some(separator) = &link.separator else {
        return Some(naming::DEFAULT_SEPARATOR.to_owned());
    };
    let place = (Report::MAIN, document.place(&["links", name, "separator"]));
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if separator.is_empty() || !separator.chars().all(legal) {
        report.error(place, format!("`{separator}` cannot stand in topic names"));
        return None;
    }
    if matches!(link.naming, model::Naming::Same) {
        report.warning(place, "`separator` has no effect with `naming: same`");
    }
    Some(separator.clone())
}

/// The fields of a link or a family that name topics.
struct Wanted<'m> {
    topics: &'m [String],
    prefixes: &'m [String],
    patterns: &'m [String],
    exclude: &'m model::Exclude,
}

impl<'m> Wanted<'m> {
    fn of_link(link: &'m Link) -> Wanted<'m> {
        Wanted {
            topics: &link.topics,
            prefixes: &link.topic_prefixes,
            patterns: &link.topic_patterns,
            exclude: &link.exclude,
        }
    }

    fn of_family(family: &'m Family) -> Wanted<'m> {
        Wanted {
            topics: &family.topics,
            prefixes: &family.topic_prefixes,
            patterns: &family.topic_patterns,
            exclude: &family.exclude,
        }
    }
}

fn topics(
    document: &Document,
    path: &[&str; 2],
    wanted: Wanted<'_>,
    report: &mut Report,
) -> Option<TopicFilter> {
    let [section, name] = *path;
    let include = rules(
        document,
        &[section, name],
        (wanted.topics, wanted.prefixes, wanted.patterns),
        report,
    );
    let exclude = rules(
        document,
        &[section, name, "exclude"],
        (&wanted.exclude.topics, &wanted.exclude.topic_prefixes, &wanted.exclude.topic_patterns),
        report,
    );
    let (include, exclude) = (include?, exclude?);
    let fields = ["topics", "topic-prefixes", "topic-patterns"];
    let named = fields.iter().any(|field| document.has(&[section, name, field]));
    if include.is_empty() && !named {
        report
            .error((Report::MAIN, document.key_place(path)), format!("`{name}` names no topics"))
            .hint("write topics, topic-prefixes or topic-patterns; topic-prefixes: [\"\"] is all");
    }
    Some(TopicFilter { include, exclude })
}

fn rules(
    document: &Document,
    path: &[&str],
    (topics, prefixes, patterns): (&[String], &[String], &[String]),
    report: &mut Report,
) -> Option<Vec<TopicRule>> {
    let mut rules = Vec::new();
    let mut ok = true;
    let place = |field: &str, index: usize| {
        let index = index.to_string();
        let path: Vec<&str> = path.iter().copied().chain([field, &index]).collect();
        (Report::MAIN, document.place(&path))
    };
    let legal = |name: &str| {
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    };
    for (index, topic) in topics.iter().enumerate() {
        if topic.is_empty() || topic.len() > 249 || !legal(topic) {
            let error = report.error(place("topics", index), format!("`{topic}` is no topic name"));
            if topic.contains(['*', '|', '[', '(']) {
                error.hint("patterns go under topic-patterns");
            }
            ok = false;
        }
        rules.push(TopicRule::Literal(topic.clone()));
    }
    for (index, prefix) in prefixes.iter().enumerate() {
        if !legal(prefix) {
            let error = report.error(
                place("topic-prefixes", index),
                format!("no topic name starts with `{prefix}`"),
            );
            if let Some(bare) = prefix.strip_suffix('*') {
                error.hint(format!("a prefix needs no star: \"{bare}\""));
            }
            ok = false;
        }
        rules.push(TopicRule::Prefix(prefix.clone()));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        match JavaPattern::new(pattern) {
            Ok(pattern) => rules.push(TopicRule::Pattern(pattern)),
            Err(error) => {
                report.error(place("topic-patterns", index), error.to_string());
                ok = false;
            }
        }
    }
    ok.then_some(rules)
}
