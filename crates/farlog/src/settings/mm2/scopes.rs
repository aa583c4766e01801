//! Says of every key of the file what becomes of it, above all of those that MirrorMaker 2 itself
//! would silently ignore.

use super::super::diagnostics::{FileId, Place, Report, Severity, nearest};
use super::super::security::{Setting, client_key, is_security_key};
use super::super::values;
use super::keys::{self, Treatment};
use super::{Flow, Mm2File, no_effect};

/// Keys that only a flow can carry although no connector lists them.
const FLOW_ONLY: [&str; 1] = ["use.defaults.from"];
const CLIENT_PREFIXES: [&str; 12] = [
    "source.consumer.",
    "source.producer.",
    "source.admin.",
    "target.consumer.",
    "target.producer.",
    "target.admin.",
    "source.cluster.",
    "target.cluster.",
    "producer.override.",
    "producer.",
    "consumer.",
    "admin.",
];

pub(super) fn explain(file: &Mm2File, flows: &[Flow], report: &mut Report) {
    for (key, setting) in &file.settings {
        if let Some((source, target, rest)) = file.flow_key(key) {
            let runs = flows.iter().any(|flow| flow.source == source && flow.target == target);
            explain_flow_key(key, rest, setting, runs, report);
        } else if key.contains("->") {
            explain_dangling_flow(file, key, setting, report);
        } else if let Some((alias, rest)) = file.cluster_key(key) {
            explain_cluster_key(alias, rest, setting, report);
        } else {
            explain_bare_key(file, key, setting, report);
        }
    }
}

fn explain_flow_key(key: &str, rest: &str, setting: &Setting, runs: bool, report: &mut Report) {
    if let Some(treatment) = keys::connector(rest) {
        if runs || rest == "enabled" {
            apply(treatment, key, rest, setting, report);
        } else {
            let flow = key.strip_suffix(rest).unwrap_or(key).trim_end_matches('.');
            report.warning(setting.place, format!("`{key}` has no effect: {flow} is not enabled"));
        }
        return;
    }
    if FLOW_ONLY.contains(&rest) {
        return;
    }
    let client = CLIENT_PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix));
    if let Some(name) = client.or_else(|| is_security_key(rest).then_some(rest)) {
        if is_security_key(name) {
            report
                .error(setting.place, format!("`{name}` for one flow only is not supported"))
                .hint("Farlog reaches a cluster with one identity: write it for the cluster");
        } else if !matches!(name, "auto.offset.reset" | "isolation.level") {
            no_effect(report, setting.place, key, "Farlog's client tunes itself");
        }
        return;
    }
    if rest.starts_with("transforms.") || rest.starts_with("predicates.") {
        return; // `transforms` itself is refused.
    }
    if rest.starts_with("topic.creation.") {
        no_effect(report, setting.place, key, "Farlog creates mirror topics itself");
        return;
    }
    let hint = nearest(rest, keys::connector_names()).map(|near| format!("did you mean `{near}`?"));
    ignored(report, setting.place, key, "no connector reads it").hint = hint;
}

fn explain_dangling_flow(file: &Mm2File, key: &str, setting: &Setting, report: &mut Report) {
    let flow = key.split_once("->").and_then(|(source, rest)| {
        let target = rest.split('.').next()?;
        Some((source, target))
    });
    let reason = match flow {
        Some((source, _)) if !file.clusters.iter().any(|alias| alias == source.trim()) => {
            format!("`clusters` does not name {source}")
        }
        Some((source, target)) if source == target => "source and target are the same".to_owned(),
        Some((_, target)) => format!("`clusters` does not name {target}"),
        None => "it is no flow".to_owned(),
    };
    let known = file.clusters.join(", ");
    ignored(report, setting.place, key, &reason).hint(format!("the clusters are {known}"));
}

fn explain_cluster_key(alias: &str, rest: &str, setting: &Setting, report: &mut Report) {
    let name = ["producer.", "consumer.", "admin."]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))
        .unwrap_or(rest);
    if client_key(name).is_some() {
        return; // The cluster's client settings speak of it.
    }
    if let Some(treatment) = keys::worker(rest) {
        apply(treatment, &format!("{alias}.{rest}"), rest, setting, report);
    } else if keys::connector(rest).is_some() {
        let key = format!("{alias}.{rest}");
        ignored(report, setting.place, &key, "it belongs to a flow")
            .hint(format!("write `{rest}` for all flows, or SOURCE->{alias}.{rest} for one"));
    }
    // Everything else is no Kafka client property: said with the cluster's client settings.
}

fn explain_bare_key(file: &Mm2File, key: &str, setting: &Setting, report: &mut Report) {
    if let Some(treatment) = keys::connector(key).or_else(|| keys::driver(key)) {
        apply(treatment, key, key, setting, report);
        if key == "enabled" && values::boolean(&setting.value) == Some(true) {
            let message = "a bare `enabled` turns on every flow that also emits heartbeats";
            report.warning(setting.place, message).hint("enable flows one by one");
        }
        return;
    }
    if is_security_key(key) {
        if client_key(key).is_none() {
            report.warning(setting.place, format!("`{key}` is no Kafka client property"));
        }
        return;
    }
    let (first, second) = (&file.clusters[0], &file.clusters[1]);
    let reason = "bare keys count only if a connector knows them";
    let hint = if FLOW_ONLY.contains(&key)
        || key.starts_with("transforms.")
        || key.starts_with("topic.creation.")
    {
        Some(format!("write `{first}->{second}.{key}`"))
    } else if client_key(key).is_some()
        || keys::worker(key).is_some()
        || ["producer.", "consumer.", "admin."].iter().any(|prefix| key.starts_with(prefix))
    {
        Some(format!("write it for a cluster: `{second}.{key}`"))
    } else if let Some(near) = nearest(key, keys::connector_names()) {
        Some(format!("did you mean `{near}`?"))
    } else if key.contains('.') {
        let known = file.clusters.join(", ");
        Some(format!("if it belongs to a cluster: the clusters are {known}"))
    } else {
        None
    };
    ignored(report, setting.place, key, reason).hint = hint;
}

fn ignored<'r>(
    report: &'r mut Report,
    place: (FileId, Place),
    key: &str,
    reason: &str,
) -> &'r mut super::super::diagnostics::Diagnostic {
    report.warning(place, format!("`{key}` is ignored, as MirrorMaker 2 ignores it: {reason}"))
}

fn apply(treatment: Treatment, key: &str, name: &str, setting: &Setting, report: &mut Report) {
    let value = values::java_trim(&setting.value);
    match treatment {
        Treatment::NoEffect(why) => no_effect(report, setting.place, key, why),
        Treatment::PlugIn(fine) => {
            let classes = values::list(value);
            let foreign = classes.iter().find(|class| !fine.contains(&class.as_str()));
            if let Some(class) = foreign {
                let known = fine.join(", ");
                report
                    .error(setting.place, format!("`{key}` names {class}, which cannot run here"))
                    .hint(format!("built in: {known}"));
            }
        }
        Treatment::Refused(why) if !value.is_empty() => {
            report.error(setting.place, format!("`{key}`: {why}"));
        }
        Treatment::Honoured if name.ends_with(".blacklist") => {
            let message =
                format!("`{key}` is the old name of `{}`", name.replace("blacklist", "exclude"));
            report
                .say(Severity::Info, Some(setting.place), message)
                .hint("MirrorMaker 2 4.0 and later ignore it");
        }
        Treatment::Honoured | Treatment::NotYet | Treatment::Refused(_) => {}
    }
}
