//! `farlog.yaml`: read into a tree, checked against its schema, compiled into the topology.

mod clusters;
pub mod document;
mod embedded;
mod groups;
mod links;
pub mod model;
mod strict;
mod substitute;
mod walk;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::document::{Node, NodeKind};
use super::diagnostics::{Place, Report};
use super::surroundings::Surroundings;
use super::topology::Topology;

/// A checked document: its tree for places, its right parts as values.
struct Document {
    root: Node,
    values: Value,
}

/// Reads a file and compiles it. `None` if it is no YAML; the report says why.
///
/// `strict` also asks whether each family answers the questions of a design review.
pub fn compile(
    text: &str,
    strict: bool,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> Option<Topology> {
    let mut root = match document::parse(text) {
        Ok(root) => root,
        Err(error) => {
            report.error(error.place.map(|place| (Report::MAIN, place)), error.message);
            return None;
        }
    };
    substitute::expand(&mut root, surroundings, report);
    let values = walk::walk(&model::schema(), &root, report);
    let document = Document { root, values };
    let mut topology = Topology {
        clusters: clusters::compile(&document, surroundings, report),
        links: links::compile(&document, report),
    };
    // A link to a cluster that could not be compiled has been reported with that cluster.
    let clusters = &topology.clusters;
    topology
        .links
        .retain(|link| clusters.contains_key(&link.source) && clusters.contains_key(&link.target));
    if document.entries("links").next().is_none() && document.entries("families").next().is_none() {
        report.warning(None, "no link and no family: there is nothing to replicate");
    }
    if strict {
        strict::ask(&document, report);
    }
    Some(topology)
}

impl Document {
    /// The right entries of a mapping at the root.
    fn entries(&self, section: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.values.get(section).and_then(Value::as_object).into_iter().flat_map(Map::iter)
    }

    /// The keys of a mapping at the root, right or wrong.
    fn keys(&self, section: &str) -> Vec<&str> {
        match self.root.get(section).map(|node| &node.kind) {
            Some(NodeKind::Map(entries)) => {
                entries.iter().map(|(key, _)| key.name.as_str()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the path exists in the file, right or wrong.
    fn has(&self, path: &[&str]) -> bool {
        let mut node = Some(&self.root);
        for name in path {
            node = node.and_then(|node| node.get(name));
        }
        node.is_some()
    }

    /// Where the value at a path stands.
    fn place(&self, path: &[&str]) -> Place {
        self.root.place_of(path)
    }

    /// Where the last key of a path stands.
    fn key_place(&self, path: &[&str]) -> Place {
        let mut node = &self.root;
        let mut place = node.place;
        for name in path {
            let Some((key, value)) = node.entry(name) else { break };
            (node, place) = (value, key.place);
        }
        place
    }

    /// A value that the walk found right, as its type.
    fn parse<T: DeserializeOwned>(&self, value: &Value, report: &mut Report) -> Option<T> {
        match serde_json::from_value(value.clone()) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                // The schema and the types are one text, so this is a mistake of Farlog's.
                report.error(None, format!("a part of the file could not be read: {error}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
