//! A MirrorMaker 2 file (`connect-mirror-maker.sh mm2.properties`), layered as MirrorMaker 2 4.x
//! layers it (KIP-382, `MirrorMakerConfig`) and compiled into the topology.
//!
//! What MirrorMaker 2 would silently ignore is said; Java classes that cannot run here are refused;
//! features that Farlog does not have yet are announced, but never refuse the file.

mod beside;
mod clusters;
mod config;
mod flow;
mod keys;
mod not_yet;
mod providers;
mod scopes;

use std::collections::BTreeMap;

use super::diagnostics::{FileId, Place, Report, Severity};
use super::properties::Properties;
use super::security::Setting;
use super::surroundings::Surroundings;
use super::topology::Topology;
use super::values;

/// A parsed file: the winning value of every key, references to secrets resolved.
struct Mm2File {
    settings: BTreeMap<String, Setting>,
    /// Aliases in order of `clusters`.
    clusters: Vec<String>,
}

/// Reads a file and compiles it. `None` if an error makes it useless; the report says why.
pub fn compile(
    bytes: &[u8],
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> Option<Topology> {
    let properties = match Properties::parse(bytes) {
        Ok(properties) => properties,
        Err(error) => {
            report.error((Report::MAIN, error.place), error.to_string());
            return None;
        }
    };
    warn_about_text(bytes, &properties, report);
    let file = Mm2File::read(&properties, surroundings, report)?;
    let flows = file.flows(report);
    scopes::explain(&file, &flows, report);
    let mut topology = Topology::default();
    for flow in &flows {
        topology.links.extend(flow::compile(&file, flow, report));
    }
    topology.clusters = clusters::compile(&file, surroundings, report);
    not_yet::announce(&file, &flows, report);
    if flows.is_empty() {
        report
            .error(None, "no flow is enabled: there is nothing to replicate")
            .hint(example_flow(&file.clusters));
    }
    Some(topology)
}

fn example_flow(clusters: &[String]) -> String {
    match clusters {
        [first, second, ..] => format!("write `{first}->{second}.enabled = true`"),
        _ => "name two clusters in `clusters`".to_owned(),
    }
}

fn warn_about_text(bytes: &[u8], properties: &Properties, report: &mut Report) {
    for (lost, winner) in properties.overridden() {
        let message =
            format!("`{}` is set again in line {}: that one wins", lost.key, winner.key_place.line);
        report.warning((Report::MAIN, lost.key_place), message);
    }
    if let Some(line) = bytes.split(|byte| *byte == b'\n').position(|line| !line.is_ascii()) {
        let line = u32::try_from(line + 1).unwrap_or(u32::MAX);
        let place = Place { line, column: 1, length: 1 };
        report
            .warning((Report::MAIN, place), "bytes beyond ASCII are read as ISO-8859-1 here")
            .hint("write \\uXXXX, as Java's native2ascii does");
    }
}

/// An ordered pair whose flow is enabled, and its connector config.
struct Flow {
    source: String,
    target: String,
    config: config::ConnectorConfig,
}

impl Flow {
    fn name(&self) -> String {
        format!("{}->{}", self.source, self.target)
    }
}

impl Mm2File {
    fn read(
        properties: &Properties,
        surroundings: &dyn Surroundings,
        report: &mut Report,
    ) -> Option<Mm2File> {
        let mut settings: BTreeMap<String, Setting> = BTreeMap::new();
        for (key, entry) in properties.by_key() {
            let place = (Report::MAIN, entry.key_place);
            settings.insert(key.to_owned(), Setting { value: entry.value.clone(), place });
        }
        providers::expand(&mut settings, surroundings, report);
        let Some(setting) = settings.get("clusters") else {
            report
                .error(None, "`clusters` is missing")
                .hint("this does not look like a MirrorMaker 2 file: write `clusters = A, B`");
            return None;
        };
        let place = setting.place;
        let mut clusters = Vec::new();
        for alias in values::list(&setting.value) {
            if alias.is_empty() {
                report.error(place, "`clusters` has an empty entry");
            } else if clusters.contains(&alias) {
                report.warning(place, format!("`clusters` names {alias} twice"));
            } else {
                clusters.push(alias);
            }
        }
        if clusters.len() < 2 {
            report.error(place, "`clusters` must name at least two clusters");
            return None;
        }
        Some(Mm2File { settings, clusters })
    }

    /// The key's setting.
    fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// `(source, target, rest)` of a key of a flow between two declared clusters.
    fn flow_key<'k>(&self, key: &'k str) -> Option<(&str, &str, &'k str)> {
        self.clusters.iter().find_map(|source| {
            let rest = key.strip_prefix(source.as_str())?.strip_prefix("->")?;
            self.clusters.iter().find_map(|target| {
                let rest = rest.strip_prefix(target.as_str())?.strip_prefix('.')?;
                (source != target).then_some((source.as_str(), target.as_str(), rest))
            })
        })
    }

    /// `(alias, rest)` of a key of a declared cluster; the longest alias counts.
    fn cluster_key<'k>(&self, key: &'k str) -> Option<(&str, &'k str)> {
        self.clusters
            .iter()
            .filter_map(|alias| {
                Some((alias.as_str(), key.strip_prefix(alias.as_str())?.strip_prefix('.')?))
            })
            .max_by_key(|(alias, _)| alias.len())
    }

    /// Every pair whose source connector MirrorMaker 2 would run, in order of `clusters`.
    ///
    /// A pair has connectors if its flow is enabled *or* it emits heartbeats (the default); the
    /// source connector of such a pair then runs if its own config says `enabled`, and a bare
    /// `enabled` reaches that config.
    fn flows(&self, report: &mut Report) -> Vec<Flow> {
        let mut flows = Vec::new();
        for source in &self.clusters {
            for target in self.clusters.iter().filter(|target| *target != source) {
                let config = config::ConnectorConfig::of(self, source, target);
                if self.pair_has_connectors(source, target)
                    && config.boolean("enabled", false, report)
                {
                    flows.push(Flow { source: source.clone(), target: target.clone(), config });
                }
            }
        }
        flows
    }

    fn pair_has_connectors(&self, source: &str, target: &str) -> bool {
        let enabled = self.get(&format!("{source}->{target}.enabled")).is_some_and(is_true);
        enabled || self.has_heartbeats(source, target)
    }

    /// Whether heartbeats of the pair are written, even if nothing else is.
    fn has_heartbeats(&self, source: &str, target: &str) -> bool {
        self.get(&format!("{source}->{target}.emit.heartbeats.enabled"))
            .or_else(|| self.get("emit.heartbeats.enabled"))
            .is_none_or(is_true)
    }

    /// Whether records are mirrored from one to the other.
    fn is_flow_enabled(&self, source: &str, target: &str) -> bool {
        let own = self.get(&format!("{source}->{target}.enabled"));
        self.pair_has_connectors(source, target)
            && own.or_else(|| self.get("enabled")).is_some_and(is_true)
    }
}

/// The pre-selection works on raw texts, where anything but "true" is false.
fn is_true(setting: &Setting) -> bool {
    setting.value.eq_ignore_ascii_case("true")
}

/// An accepted key that changes nothing here.
fn no_effect(report: &mut Report, place: (FileId, Place), key: &str, why: &str) {
    report.say(Severity::Info, Some(place), format!("`{key}` has no effect: {why}"));
}

#[cfg(test)]
mod tests;
