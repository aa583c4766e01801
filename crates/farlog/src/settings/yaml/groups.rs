//! Which groups follow the links of `farlog.yaml`.

use farlog_link::groups::{GroupSelection, Rewinds};
use farlog_link::topics::{JavaPattern, TopicRule};

use super::super::diagnostics::Report;
use super::Document;
use super::model::{self, Group, LinkGroups, OnFailover};

/// Of a link; `None` if none do.
pub(super) fn of_link(
    document: &Document,
    name: &str,
    groups: &LinkGroups,
    report: &mut Report,
) -> Option<GroupSelection> {
    let path = ["links", name, "groups"];
    let mut rules = |field: &str, patterns: &[String]| {
        let mut rules = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let index = index.to_string();
            let path: Vec<&str> = path.iter().copied().chain([field, &index]).collect();
            rules.extend(rule(document, &path, pattern, report));
        }
        rules
    };
    let include = groups.matching.as_ref().map(|patterns| rules("match", patterns));
    let exclude = groups.exclude.as_ref().map(|patterns| rules("exclude", patterns));
    let mut selection = GroupSelection::everything();
    if let Some(include) = include {
        selection.filter.include = include;
        selection.filter.exclude.clear();
    }
    if let Some(exclude) = exclude {
        selection.filter.exclude = exclude;
    }
    selection.rewinds = match groups.rewinds {
        model::Rewinds::Follow => Rewinds::Follow,
        model::Rewinds::Ignore => Rewinds::Ignore,
    };
    groups.follow.then_some(selection)
}

/// Of a family; one that says nothing of groups means every group.
pub(super) fn of_family(
    document: &Document,
    name: &str,
    groups: Option<&[Group]>,
    report: &mut Report,
) -> GroupSelection {
    let mut selection = GroupSelection::everything();
    let Some(groups) = groups else { return selection };
    selection.filter.include.clear();
    selection.filter.exclude.clear();
    for (index, group) in groups.iter().enumerate() {
        let index = index.to_string();
        let path = ["families", name, "groups", &index, "match"];
        let rule = rule(document, &path, &group.matching, report);
        match group.on_failover {
            OnFailover::None => selection.filter.exclude.extend(rule),
            // The others are refused where they are read.
            OnFailover::Translate | OnFailover::Earliest | OnFailover::Latest => {
                selection.filter.include.extend(rule);
            }
        }
    }
    selection
}

fn rule(
    document: &Document,
    path: &[&str],
    pattern: &str,
    report: &mut Report,
) -> Option<TopicRule> {
    match JavaPattern::new(pattern) {
        Ok(pattern) => Some(TopicRule::Pattern(pattern)),
        Err(error) => {
            report.error((Report::MAIN, document.place(path)), error.to_string());
            None
        }
    }
}
