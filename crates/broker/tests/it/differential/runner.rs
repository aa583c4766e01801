//! Runs cases, and compares what was said.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::{ApiKey, VersionRange};

use super::script::{Args, Case, Difference, Step, parse};
use super::steps::{api_of, run};
use super::world::World;
use crate::peer::Peer;

/// The versions of each API that a broker serves.
pub(super) type Ranges = BTreeMap<ApiKey, VersionRange>;

/// What both brokers announce.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub(super) kafka: Ranges,
    pub(super) ours: Ranges,
}

/// Where a broker listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    /// For clients that may do everything.
    pub(super) plain: SocketAddr,
    /// For users.
    pub(super) sasl: SocketAddr,
}

/// What a broker said to each step of a case.
pub(super) type Said = Vec<Vec<String>>;

impl Announced {
    /// What we announce and Kafka does not.
    pub(super) fn beyond_kafka(&self) -> Vec<String> {
        let within = |(api, ours): &(&ApiKey, &VersionRange)| {
            let kafka = self.kafka.get(*api);
            kafka.is_some_and(|kafka| kafka.min <= ours.min && ours.max <= kafka.max)
        };
        let beyond = self.ours.iter().filter(|line| !within(line));
        beyond.map(|(api, range)| format!("{api:?} {}..{}", range.min, range.max)).collect()
    }
}

/// Asks a broker what it serves.
pub(super) async fn announced(address: SocketAddr) -> Ranges {
    let mut peer = Peer::new(address);
    let answer = peer.call(&ApiVersionsRequest::default(), 0).await.expect("an answer");
    let known = answer.api_keys.iter().filter_map(|api| {
        let key = ApiKey::try_from(api.api_key).ok()?;
        // Both announce older versions of Produce, for librdkafka's sake, and serve none of them.
        let min = if key == ApiKey::Produce { 3 } else { api.min_version };
        Some((key, VersionRange { min, max: api.max_version }))
    });
    known.collect()
}

/// The versions that a step is done in.
pub(super) fn versions_of(args: &Args, announced: &Announced) -> Vec<i16> {
    let Some(api) = api_of(&args.command) else { return vec![0] };
    let range = announced.ours.get(&api).or_else(|| announced.kafka.get(&api));
    let range = range.unwrap_or_else(|| panic!("nobody serves {api:?}"));
    match args.option("version") {
        None => vec![range.max],
        Some("all") => (range.min..=range.max).collect(),
        Some(list) => list.split(',').map(parse).collect(),
    }
}

/// Runs a case against one broker.
pub(super) async fn say(case: &Case, ways: Ways, announced: &Announced) -> Said {
    let prefix = format!("{}.{}", case.file, case.name);
    let mut world = World::new(ways, prefix);
    let mut said = Vec::new();
    for step in &case.steps {
        said.push(say_step(&mut world, step, announced).await);
    }
    assert!(world.background.is_empty(), "{}: no join at the end", case.id());
    said
}

async fn say_step(world: &mut World, step: &Step, announced: &Announced) -> Vec<String> {
    if let Some(text) = step.text.strip_prefix('&') {
        let args = Args::parse(text.trim());
        let mut beside = world.beside();
        let versions = versions_of(&args, announced);
        let going_on = async move { in_versions(&mut beside, &args, &versions).await };
        world.background.push(tokio::spawn(going_on));
        return Vec::new();
    }
    let args = Args::parse(&step.text);
    if args.command == "join" {
        let mut lines = Vec::new();
        for going_on in std::mem::take(&mut world.background) {
            lines.extend(going_on.await.expect("a step that can be done"));
        }
        return lines;
    }
    let versions = versions_of(&args, announced);
    in_versions(world, &args, &versions).await
}

/// The answers in each version; neighbours that are equal are told once.
async fn in_versions(world: &mut World, args: &Args, versions: &[i16]) -> Vec<String> {
    if let [version] = versions[..] {
        return run(world, args, version).await;
    }
    let mut told: Vec<(i16, i16, Vec<String>)> = Vec::new();
    for &version in versions {
        let lines = run(world, args, version).await;
        match told.last_mut() {
            Some((_, to, same)) if *same == lines => *to = version,
            _ => told.push((version, version, lines)),
        }
    }
    let mut all = Vec::new();
    for (from, to, lines) in told {
        let label = if from == to { format!("v{from}") } else { format!("v{from}-{to}") };
        all.extend(lines.iter().map(|line| format!("{label} {line}")));
    }
    all
}

/// What is wrong with the answers, ready to be read; empty if nothing is.
pub(super) fn compare(case: &Case, kafka: &Said, ours: &Said) -> String {
    let mut wrong = String::new();
    for ((step, kafka), ours) in case.steps.iter().zip(kafka).zip(ours) {
        let found = difference(kafka, ours);
        let same = match (&found, &step.differs) {
            (None, None) => true,
            (Some(found), Some(told)) => found.kafka == told.kafka && found.ours == told.ours,
            _ => false,
        };
        if !same {
            let _ = writeln!(wrong, "{} (line {}): {}", case.id(), step.line, step.text);
            let Some(found) = found else {
                let _ = writeln!(wrong, "    both say the same now: {kafka:?}");
                continue;
            };
            for (who, lines) in [("kafka", &found.kafka), ("ours", &found.ours)] {
                for line in lines {
                    let _ = writeln!(wrong, "    {who}| {}", line.trim());
                }
            }
        }
    }
    wrong
}

/// The lines that only one of them said; `None` if both said the same.
fn difference(kafka: &[String], ours: &[String]) -> Option<Difference> {
    if kafka == ours {
        return None;
    }
    let only = |some: &[String], others: &[String]| {
        let only = some.iter().filter(|line| !others.contains(line));
        only.map(|line| line.trim().to_owned()).collect::<Vec<String>>()
    };
    let (only_kafka, only_ours) = (only(kafka, ours), only(ours, kafka));
    let in_other_order = only_kafka.is_empty() && only_ours.is_empty();
    Some(Difference {
        kafka: if in_other_order { kafka.to_vec() } else { only_kafka },
        ours: if in_other_order { ours.to_vec() } else { only_ours },
        because: String::new(),
    })
}

/// A case with all that was said.
pub(super) fn transcript(case: &Case, kafka: &Said, ours: &Said) -> String {
    let mut text = format!("case {}\n", case.id());
    for ((step, kafka), ours) in case.steps.iter().zip(kafka).zip(ours) {
        let _ = writeln!(text, "  {}", step.text);
        if kafka == ours {
            let both = kafka.iter().map(|line| format!("      both| {line}\n"));
            text.extend(both);
        } else {
            text.extend(kafka.iter().map(|line| format!("     kafka| {line}\n")));
            text.extend(ours.iter().map(|line| format!("      ours| {line}\n")));
        }
    }
    text
}
