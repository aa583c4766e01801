//! Loops, double writers and the like, through the YAML front door.

use super::super::diagnostics::Severity;
use super::super::{LoadOptions, load, surroundings::Imagined};

const CLUSTERS: &str = "version: 1
clusters:
  a: { bootstrap-servers: [a:1] }
  b: { bootstrap-servers: [b:1] }
  c: { bootstrap-servers: [c:1] }
links:
";

/// `name: source target naming topics…` per link; a topic may be `p:prefix` or `r:pattern`.
fn said(links: &[&str], severity: Severity) -> Vec<String> {
    let mut text = CLUSTERS.to_owned();
    for link in links {
        let mut words = link.split_whitespace();
        let mut next = || words.next().unwrap();
        let (name, source, target, naming) = (next(), next(), next(), next());
        text.push_str(&format!("  {name}\n    source: {source}\n    target: {target}\n"));
        text.push_str(&format!("    naming: {naming}\n"));
        let topics: Vec<&str> = words.collect();
        let of = |mark: &str| -> String {
            let mine = topics.iter().filter_map(|topic| match topic.split_once(':') {
                Some((kind, rest)) => (kind == mark).then_some(rest),
                None => mark.is_empty().then_some(*topic),
            });
            mine.map(|topic| format!("'{topic}'")).collect::<Vec<_>>().join(", ")
        };
        text.push_str(&format!("    topics: [{}]\n    topic-prefixes: [{}]\n", of(""), of("p")));
        text.push_str(&format!("    topic-patterns: [{}]\n", of("r")));
        text.push_str(&format!("    exclude: {{ topic-prefixes: [{}] }}\n", of("x")));
    }
    let loaded =
        load("farlog.yaml", text.as_bytes(), &LoadOptions::default(), &Imagined::default());
    let of = loaded.report.diagnostics.iter().filter(|each| each.severity == severity);
    of.map(|each| each.message.clone()).collect()
}

fn errors(links: &[&str]) -> Vec<String> {
    said(links, Severity::Error)
}

const NONE: [&str; 0] = [];

#[test]
fn same_named_two_way_links_on_the_same_topics_are_refused() {
    assert_eq!(
        errors(&["ab: a b same t", "ba: b a same t"]),
        ["ab and ba form a loop: `t` would go round a -> b -> a for ever"]
    );
    assert_eq!(
        errors(&["ab: a b same p:", "ba: b a same r:x.*"]),
        ["ab and ba form a loop: `x…` would go round a -> b -> a for ever"]
    );
    assert_eq!(errors(&["ab: a b same t", "ba: b a same u"]), NONE);
    assert_eq!(errors(&["ab: a b same p:a-", "ba: b a same p:b-"]), NONE);
    assert_eq!(errors(&["ab: a b same r:.* x:b-", "ba: b a same p:b-"]), NONE);
}

#[test]
fn prefixed_names_show_the_cycle() {
    assert_eq!(errors(&["ab: a b prefixed p:", "ba: b a prefixed p:"]), NONE);
    assert_eq!(
        errors(&["ab: a b prefixed p:", "bc: b c prefixed p:", "ca: c a prefixed p:"]),
        NONE
    );
    let mixed = errors(&["ab: a b prefixed p:", "ba: b a same p:"]);
    assert_eq!(mixed.len(), 1, "names grow for ever: {mixed:?}");
}

#[test]
fn rings_are_loops_too() {
    let ring = errors(&["ab: a b same t", "bc: b c same p:t", "ca: c a same r:t"]);
    assert_eq!(
        ring,
        ["ab and bc and ca form a loop: `t` would go round a -> b -> c -> a for ever"]
    );
    assert_eq!(errors(&["ab: a b same t", "bc: b c same t"]), NONE, "a chain is none");
}

#[test]
fn a_mirror_topic_has_one_writer() {
    assert_eq!(
        errors(&["ac: a c same t", "bc: b c same t"]),
        ["ac and bc would both write `t` on c"]
    );
    assert_eq!(
        errors(&["ab: a b same p:x", "ab2: a b same xy"]),
        ["ab and ab2 would both write `xy` on b"]
    );
    assert_eq!(errors(&["ac: a c prefixed t", "bc: b c prefixed t"]), NONE);
    assert_eq!(
        errors(&["ab: a b same p:x", "ab2: a b same p:xy"]),
        ["ab and ab2 would both write `xy…` on b"]
    );
    assert_eq!(errors(&["ac: a c same p:", "bc: b c same p:"]), NONE, "two halves of one estate");
    let warnings = said(&["ac: a c same p:", "bc: b c same p:"], Severity::Warning);
    assert_eq!(warnings, ["ac and bc might both write every topic on c"]);
    let warnings = said(&["ac: a c same r:t.+", "bc: b c same r:t?u"], Severity::Warning);
    assert_eq!(warnings, ["ac and bc might both write `t…` on c"]);
    assert_eq!(errors(&["ac: a c same r:t.+", "bc: b c same r:t?u"]), NONE);
}

#[test]
fn a_link_needs_two_clusters() {
    assert_eq!(errors(&["aa: a a prefixed t"]), ["aa has a as source and target"]);
    let text = "clusters = A, B\nA.bootstrap.servers = x:1, y:1\nB.bootstrap.servers = Y:1\n\
                A->B.enabled = true\n";
    let loaded =
        load("a.properties", text.as_bytes(), &LoadOptions::default(), &Imagined::default());
    let rendered = loaded.report.render();
    assert!(rendered.contains("A and B are the same cluster: both have the broker y:1"));
}

#[test]
fn mm2_identity_two_way_is_refused_and_prefixed_is_fine() {
    let two_way = "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\n\
                   A->B.enabled = true\nB->A.enabled = true\n";
    let check = |text: &str| {
        let imagined = Imagined::default();
        load("a.properties", text.as_bytes(), &LoadOptions::default(), &imagined)
            .report
            .has_errors()
    };
    assert!(!check(two_way));
    let class = "org.apache.kafka.connect.mirror.IdentityReplicationPolicy";
    assert!(check(&format!("{two_way}replication.policy.class = {class}\n")));
}

#[test]
fn a_fetch_larger_than_the_memory_is_told() {
    let text = "version: 1\nclusters:\n  a: { bootstrap-servers: [a:9092] }\n  \
                b: { bootstrap-servers: [b:9092] }\nlinks:\n  l: { source: a, target: b, \
                topics: [t], limits: { memory-bytes: 1MiB, fetch-bytes: 4MiB, \
                fetch-partition-bytes: 1MiB } }\n";
    let imagined = Imagined::default();
    let loaded = load("farlog.yaml", text.as_bytes(), &LoadOptions::default(), &imagined);
    let rendered = loaded.report.render();
    assert!(loaded.is_accepted(), "{rendered}");
    assert_eq!(loaded.report.count(Severity::Warning), 1, "{rendered}");
    assert!(rendered.contains("`limits.fetch-bytes` is 4194304, but"), "{rendered}");
}
