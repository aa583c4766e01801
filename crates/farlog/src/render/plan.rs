//! What `farlog plan` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use farlog_link::plan::LinkPlan;
use farlog_link::topics::ConfigOp;
use serde::Serialize;

/// The plans of all links: the shape of `--output json` and `yaml`, which only grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanView {
    /// In order of the settings file.
    pub links: Vec<LinkPlanView>,
}

/// What a link would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkPlanView {
    /// Its name.
    pub link: String,
    /// Alias of the source cluster.
    pub source: String,
    /// Alias of the target cluster.
    pub target: String,
    /// The link in words.
    pub compiled: String,
    /// Why there is no plan; empty if there is one.
    pub error: String,
    /// Mirror topics to create.
    pub creates: Vec<CreateView>,
    /// Mirror topics to give more partitions.
    pub expands: Vec<ExpandView>,
    /// Mirror topics whose configs would be altered.
    pub alters: Vec<AlterView>,
    /// Source topics whose mirrors exist.
    pub mirrors: Vec<String>,
    /// Source topics that are left out though the filter names them.
    pub skipped: Vec<SkippedView>,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// A mirror topic to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateView {
    /// Topic at the source.
    pub topic: String,
    /// Topic to create.
    pub mirror_topic: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Replication factor; `null` leaves it to the target's brokers.
    pub replication_factor: Option<i16>,
    /// Configs to create it with.
    pub configs: BTreeMap<String, String>,
}

/// A mirror topic to give more partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpandView {
    /// The mirror.
    pub mirror_topic: String,
    /// What it has.
    pub partitions_now: i32,
    /// What it gets.
    pub partitions: i32,
}

/// Configs of a mirror topic to alter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlterView {
    /// The mirror.
    pub mirror_topic: String,
    /// New values; `null` removes the config from the topic.
    pub configs: BTreeMap<String, Option<String>>,
}

/// A topic that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedView {
    /// Topic at the source.
    pub topic: String,
    /// Why.
    pub why: String,
}

// === impl LinkPlanView ===

impl LinkPlanView {
    /// A link that nothing is known of yet.
    pub fn new(link: &str, source: &str, target: &str, compiled: String) -> Self {
        Self {
            link: link.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            compiled,
            error: String::new(),
            creates: Vec::new(),
            expands: Vec::new(),
            alters: Vec::new(),
            mirrors: Vec::new(),
            skipped: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes over what was planned.
    pub fn take(&mut self, plan: LinkPlan) {
        let creates = plan.creates.into_iter().map(|create| CreateView {
            topic: create.source_topic,
            mirror_topic: create.target_topic,
            partitions: create.partitions,
            replication_factor: Some(create.replication_factor).filter(|factor| *factor > 0),
            configs: create.configs,
        });
        self.creates = creates.collect();
        let expands = plan.expands.into_iter().map(|expand| ExpandView {
            mirror_topic: expand.target_topic,
            partitions_now: expand.partitions_now,
            partitions: expand.partitions,
        });
        self.expands = expands.collect();
        let alters = plan.config_changes.into_iter().map(|change| AlterView {
            mirror_topic: change.target_topic,
            configs: change.ops.into_iter().map(config).collect(),
        });
        self.alters = alters.collect();
        self.mirrors = plan.mirrors.into_iter().map(|mirror| mirror.source_topic).collect();
        let skipped = plan.skipped.into_iter();
        self.skipped =
            skipped.map(|topic| SkippedView { topic: topic.topic, why: topic.why }).collect();
        self.warnings = plan.warnings;
    }
}

fn config(op: ConfigOp) -> (String, Option<String>) {
    match op {
        ConfigOp::Set { name, value } => (name, Some(value)),
        ConfigOp::Delete { name } => (name, None),
    }
}

/// The plan in words; `wide` shows every config of topics to create.
pub(super) fn text(view: &PlanView, wide: bool) -> String {
    let mut out = String::new();
    for link in &view.links {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "link {}", link.compiled);
        one(link, wide, &mut out);
        out.push('\n');
    }
    let creates: usize = view.links.iter().map(|link| link.creates.len()).sum();
    let expands: usize = view.links.iter().map(|link| link.expands.len()).sum();
    let alters: usize = view.links.iter().map(|link| link.alters.len()).sum();
    let failed = view.links.iter().filter(|link| !link.error.is_empty()).count();
    if creates + expands + alters == 0 && failed == 0 {
        out.push_str("every mirror topic is as it should be\n");
    } else {
        let _ = write!(out, "{creates} to create, {expands} to expand, {alters} to alter");
        if failed > 0 {
            let _ = write!(out, "; {failed} of {} links not known", view.links.len());
        }
        out.push_str("; nothing has been changed\n");
    }
    out
}

fn one(link: &LinkPlanView, wide: bool, out: &mut String) {
    if !link.error.is_empty() {
        let _ = writeln!(out, "  error   {}", link.error);
        return;
    }
    for create in &link.creates {
        let CreateView { topic, mirror_topic, partitions, .. } = create;
        let s = if *partitions == 1 { "" } else { "s" };
        let _ = write!(out, "  create  {mirror_topic} from {topic}: {partitions} partition{s}");
        match create.replication_factor {
            Some(factor) => out.push_str(&format!(", replication factor {factor}\n")),
            None => out.push_str(", the target's replication factor\n"),
        }
        for (name, value) in create.configs.iter().filter(|_| wide) {
            let _ = writeln!(out, "            {name} = {value}");
        }
    }
    for expand in &link.expands {
        let ExpandView { mirror_topic, partitions_now, partitions } = expand;
        let _ =
            writeln!(out, "  expand  {mirror_topic}: {partitions_now} -> {partitions} partitions");
    }
    for alter in &link.alters {
        let _ = writeln!(out, "  alter   {}", alter.mirror_topic);
        for (name, value) in &alter.configs {
            let value = value.as_deref().map_or("(the target's default)", |value| value);
            let _ = writeln!(out, "            {name} = {value}");
        }
    }
    for skipped in &link.skipped {
        let _ = writeln!(out, "  skip    {}: {}", skipped.topic, skipped.why);
    }
    for warning in &link.warnings {
        let _ = writeln!(out, "  warning {warning}");
    }
    let touched = link.expands.len().max(link.alters.len());
    let _ = match (link.mirrors.len(), link.creates.len() + touched) {
        (0, 0) => writeln!(out, "  nothing: no topic of the source is asked for"),
        (0, _) => Ok(()),
        (mirrors, _) => writeln!(out, "  keep    {mirrors} mirror topics that exist"),
    };
}
