//! What must hold across a whole topology, whatever file it came from.

mod shapes;

use std::collections::BTreeSet;

use self::shapes::{Shape, mirrored, overlap, renamed};
use super::diagnostics::{FileId, Place, Report};
use super::topology::{LinkSettings, Topology};

/// Paths followed while looking for loops; far more than any sane topology has.
const PATHS_MAX: usize = 20_000;

/// Reports everything that is wrong with the topology as a whole.
pub fn validate(topology: &Topology, report: &mut Report) {
    names_are_unique(topology, report);
    clusters_differ(topology, report);
    nothing_goes_round(topology, report);
    one_writer_per_topic(topology, report);
    fetches_fit_the_memory(topology, report);
}

fn at(link: &LinkSettings) -> (FileId, Place) {
    (Report::MAIN, link.place)
}

fn names_are_unique(topology: &Topology, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for link in &topology.links {
        if !seen.insert(&link.name) {
            report.error(at(link), format!("there are two links called {}", link.name));
        }
    }
}

fn clusters_differ(topology: &Topology, report: &mut Report) {
    for link in &topology.links {
        if link.source == link.target {
            report
                .error(at(link), format!("{} has {} as source and target", link.name, link.source));
            continue;
        }
        let servers = |alias: &str| -> BTreeSet<String> {
            let cluster = topology.clusters.get(alias);
            let servers = cluster.map(|cluster| cluster.bootstrap_servers.as_slice());
            let lower =
                |address: &super::topology::ServerAddress| address.to_string().to_ascii_lowercase();
            servers.unwrap_or_default().iter().map(lower).collect()
        };
        let (source, target) = (servers(&link.source), servers(&link.target));
        if let Some(both) = source.intersection(&target).next() {
            report
                .error(
                    at(link),
                    format!(
                        "{}: {} and {} are the same cluster: both have the broker {both}",
                        link.name, link.source, link.target
                    ),
                )
                .hint("a link needs two clusters");
        }
    }
}

/// Follows every topic along every path of links. One that comes back to where it started would be
/// mirrored for ever.
fn nothing_goes_round(topology: &Topology, report: &mut Report) {
    let mut search = Search { links: &topology.links, paths: 0, loops: Vec::new() };
    for start in 0..topology.links.len() {
        let everything = vec![Shape::everything()];
        let shapes = mirrored(&topology.links[start], &everything);
        search.follow(start, &mut vec![start], &shapes);
    }
    if search.paths >= PATHS_MAX {
        report.warning(None, "there are too many paths of links to look at all of them for loops");
    }
    for (path, shape) in search.loops {
        let links: Vec<&LinkSettings> = path.iter().map(|index| &topology.links[*index]).collect();
        let names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
        let way: Vec<&str> = links.iter().map(|link| link.source.as_str()).collect();
        let first = links[0];
        report
            .error(
                at(first),
                format!(
                    "{} form a loop: {shape} would go round {} -> {} for ever",
                    names.join(" and "),
                    way.join(" -> "),
                    first.source
                ),
            )
            .hint(
                "two-way links under the same name land in a later release\n\
                 today: prefixed names (the cycle is seen in the name), or topics that go only \
                 one way",
            );
    }
}

/// Says it where a limit cannot be what it was set to.
fn fetches_fit_the_memory(topology: &Topology, report: &mut Report) {
    for link in &topology.links {
        let limits = link.limits;
        let fetches = [
            ("fetch-bytes", limits.fetch_bytes),
            ("fetch-partition-bytes", limits.fetch_partition_bytes),
        ];
        for (name, fetch) in fetches {
            if let (Some(memory), Some(fetch)) = (limits.memory_bytes, fetch)
                && fetch > memory
            {
                let message = format!(
                    "{}: `limits.{name}` is {fetch}, but a fetch asks for no more than \
                     `limits.memory-bytes`, {memory}",
                    link.name
                );
                report.warning(at(link), message);
            }
        }
    }
}

struct Search<'t> {
    links: &'t [LinkSettings],
    paths: usize,
    loops: Vec<(Vec<usize>, Shape)>,
}

impl Search<'_> {
    /// `shapes` are the topics, by their names on the source of the last link, that it mirrors.
    fn follow(&mut self, start: usize, path: &mut Vec<usize>, shapes: &[Shape]) {
        self.paths += 1;
        let Some(&last) = path.last() else { return };
        if shapes.is_empty() || self.paths >= PATHS_MAX {
            return;
        }
        let arrived = renamed(&self.links[last], shapes);
        // Only links behind the first one, so that each loop is found once.
        for next in start..self.links.len() {
            if self.links[next].source != self.links[last].target {
                continue;
            }
            let onward = mirrored(&self.links[next], &arrived);
            if next == start {
                if let Some(shape) = onward.first() {
                    self.loops.push((path.clone(), shape.clone()));
                }
            } else if !path.contains(&next) {
                path.push(next);
                self.follow(start, path, &onward);
                path.pop();
            }
        }
    }
}

/// A mirror partition has one writer.
fn one_writer_per_topic(topology: &Topology, report: &mut Report) {
    let everything = [Shape::everything()];
    for (index, left) in topology.links.iter().enumerate() {
        let of_left = renamed(left, &mirrored(left, &everything));
        for right in topology.links[index + 1..].iter().filter(|right| right.target == left.target)
        {
            let of_right = renamed(right, &mirrored(right, &everything));
            let both: Vec<Shape> = of_left
                .iter()
                .flat_map(|one| of_right.iter().filter_map(|other| overlap(one, other)))
                .collect();
            // Two sources with topics of one prefix need not have one topic in common.
            let same_source = left.source == right.source;
            let certain = both.iter().find(|shape| match shape {
                Shape::Exact(_) => true,
                Shape::Starts { whole, .. } => *whole && same_source,
            });
            let (names, target) = (format!("{} and {}", left.name, right.name), &right.target);
            let hint = "a mirror topic has one writer: exclude the topic from one of the two, or \
                        use prefixed names";
            if let Some(shape) = certain {
                let message = format!("{names} would both write {shape} on {target}");
                report.error(at(right), message).hint(hint);
            } else if let Some(shape) = both.first() {
                let message = format!("{names} might both write {shape} on {target}");
                report.warning(at(right), message).hint(hint);
            }
        }
    }
}

#[cfg(test)]
mod tests;
