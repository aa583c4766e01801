//! Layering, typing and what is said about each key.

use super::super::surroundings::Imagined;
use super::super::topology::{LinkSettings, OnSourceDataLoss, ProducerIds, Start};
use super::*;

fn surroundings() -> Imagined {
    let mut imagined = Imagined::default();
    imagined.variables.insert("PASSWORD".into(), "from-env".into());
    imagined.files.insert("/run/s.properties".into(), b"user=me\nserver=b9:9092\n".to_vec());
    imagined.files.insert("/run/secrets/servers".into(), b"b8:9092".to_vec());
    imagined
}

const TWO: &str = "clusters = A, B\nA.bootstrap.servers = a:9092\nB.bootstrap.servers = b:9092\n";

fn compile_text(text: &str) -> (Option<Topology>, Report) {
    let mut report = Report::new("mm2.properties", text);
    let topology = compile(text.as_bytes(), &surroundings(), &mut report);
    (topology, report)
}

/// Two clusters, `A->B` enabled, and `more`.
fn with(more: &str) -> (Topology, Report) {
    let (topology, report) = compile_text(&format!("{TWO}A->B.enabled = true\n{more}\n"));
    (topology.unwrap(), report)
}

fn only_link(more: &str) -> LinkSettings {
    let (mut topology, report) = with(more);
    assert!(!report.has_errors(), "{}", report.render());
    assert_eq!(topology.links.len(), 1);
    topology.links.remove(0)
}

/// The messages of a severity.
fn said(report: &Report, severity: Severity) -> Vec<String> {
    let of = report.diagnostics.iter().filter(|each| each.severity == severity);
    of.map(|each| each.message.clone()).collect()
}

#[track_caller]
fn check_error(more: &str, message: &str) {
    let (_, report) = with(more);
    assert_eq!(said(&report, Severity::Error), [message], "{more}");
}

#[track_caller]
fn check_warning(more: &str, message: &str) {
    let (_, report) = with(more);
    assert_eq!(said(&report, Severity::Warning), [message], "{more}");
    assert!(!report.has_errors());
}

fn selects(link: &LinkSettings, topic: &str) -> bool {
    link.topics.select(topic).unwrap() == farlog_link::topics::Selected::Yes
}

#[test]
fn defaults_are_those_of_mm2() {
    let link = only_link("");
    assert_eq!(
        (link.name.as_str(), link.source.as_str(), link.target.as_str()),
        ("A->B", "A", "B")
    );
    assert_eq!(link.replication_factor, Some(2));
    assert_eq!(link.start, Start::Earliest);
    assert_eq!(link.producer_ids, ProducerIds::Auto);
    assert_eq!(link.topics.naming.remote_topic("t"), "A.t");
    for topic in ["t", "x.internal", "heartbeats", "team.orders"] {
        assert!(selects(&link, topic), "{topic}");
    }
    for topic in ["__x", "mm2-offsets.A.internal", "t.replica", "B.t", "A.checkpoints.internal"] {
        assert!(!selects(&link, topic), "{topic}");
    }
}

#[test]
fn flow_keys_win_over_bare_keys() {
    let link = only_link("topics = a\nA->B.topics = b, c-.*\nreplication.factor = 5");
    assert!(!selects(&link, "a") && selects(&link, "b") && selects(&link, "c-1"));
    assert_eq!(link.replication_factor, Some(5));
    let link = only_link("replication.factor = 5\nA->B.replication.factor = -1");
    assert_eq!(link.replication_factor, None);
}

#[test]
fn topic_lists_are_java_patterns_joined() {
    let link = only_link("topics = a\\\\.b, x(1, 2)y\ntopics.exclude =");
    assert!(selects(&link, "a.b") && !selects(&link, "axb"));
    assert!(selects(&link, "x1y") || selects(&link, "x2y"), "the comma splits inside the group");
    let link = only_link("topics = pay.*, orders\ntopics.exclude = pay-x");
    assert!(selects(&link, "pay-y") && !selects(&link, "pay-x") && selects(&link, "orders"));
    let (topology, report) = with("topics =");
    assert!(!selects(&topology.links[0], "t") && selects(&topology.links[0], "heartbeats"));
    assert!(said(&report, Severity::Warning)[0].contains("`topics` is empty"));
}

#[test]
fn which_flows_run() {
    let links = |text: &str| -> Vec<String> {
        let (topology, _) = compile_text(&format!("{TWO}{text}\n"));
        topology.unwrap().links.into_iter().map(|link| link.name).collect()
    };
    assert_eq!(links(""), Vec::<String>::new());
    assert_eq!(links("A->B.enabled=true\nB->A.enabled=TRUE"), ["A->B", "B->A"]);
    assert_eq!(links("enabled=true"), ["A->B", "B->A"], "by way of the heartbeats' herders");
    assert_eq!(links("enabled=true\nemit.heartbeats.enabled=false"), Vec::<String>::new());
    assert_eq!(
        links("enabled=true\nemit.heartbeats.enabled=false\nB->A.emit.heartbeats.enabled=true"),
        ["B->A"]
    );
    assert_eq!(links("enabled=true\nA->B.enabled=false"), ["B->A"]);
    let (_, report) = compile_text(TWO);
    assert!(said(&report, Severity::Error)[0].contains("no flow is enabled"));
    let (_, report) = with("B->A.enabled = yes");
    assert_eq!(said(&report, Severity::Error), ["`enabled` must be true or false, not `yes`"]);
}

#[test]
fn keys_that_mm2_ignores_are_named() {
    let ignored =
        |key: &str, why: &str| format!("`{key}` is ignored, as MirrorMaker 2 ignores it: {why}");
    let bare = "bare keys count only if a connector knows them";
    check_warning("use.defaults.from = source", &ignored("use.defaults.from", bare));
    check_warning("producer.linger.ms = 5", &ignored("producer.linger.ms", bare));
    check_warning("offset.flush.interval.ms = 5", &ignored("offset.flush.interval.ms", bare));
    check_warning(
        "exactly.once.source.support = enabled",
        &ignored("exactly.once.source.support", bare),
    );
    check_warning("C.bootstrap.servers = c:9092", &ignored("C.bootstrap.servers", bare));
    check_warning("A->B.topic = x", &ignored("A->B.topic", "no connector reads it"));
    check_warning("A->C.enabled = true", &ignored("A->C.enabled", "`clusters` does not name C"));
    check_warning("*->B.enabled = true", &ignored("*->B.enabled", "`clusters` does not name *"));
    check_warning("A.topics = x", &ignored("A.topics", "it belongs to a flow"));
    check_warning("B->A.topics = x", "`B->A.topics` has no effect: B->A is not enabled");
    check_warning("A.bootstrap.server = x", "`bootstrap.server` is no Kafka client property");
    check_warning(
        "A.bootstrap.servers=c:1",
        "`A.bootstrap.servers` is set again in line 5: that one wins",
    );
    check_warning("A.client.id=caf\u{e9}", "bytes beyond ASCII are read as ISO-8859-1 here");
}

#[test]
fn filter_private_keys_count_at_flow_level() {
    let link = only_link("A->B.use.defaults.from = source");
    let policy = link.config_sync.unwrap().policy;
    assert_eq!(policy.defaults_from, farlog_link::topics::DefaultsFrom::Source);
}

#[test]
fn old_names_are_accepted() {
    let link = only_link("topics.blacklist = x.*\nconfig.properties.blacklist = retention\\\\.ms");
    assert!(!selects(&link, "x1") && selects(&link, "t.replica"));
    let exclude = link.config_sync.unwrap().policy.exclude.unwrap();
    assert!(exclude.matches("retention.ms").unwrap());
    assert!(!exclude.matches("min.insync.replicas").unwrap(), "the list replaces the default");
    let (_, report) = with("topics.blacklist = x.*");
    assert!(said(&report, Severity::Info)[0].contains("old name of `topics.exclude`"));
}

#[test]
fn intervals_and_switches() {
    let link = only_link("refresh.topics.interval.seconds = 30\nsync.topic.configs.enabled=false");
    assert_eq!(link.refresh_interval, Some(std::time::Duration::from_secs(30)));
    assert_eq!(link.config_sync, None);
    assert_eq!(only_link("refresh.topics.enabled = false").refresh_interval, None);
    assert_eq!(only_link("").refresh_interval, Some(super::super::REFRESH_INTERVAL_DEFAULT));
    assert!(!only_link("heartbeats.replication.enabled = false").topics.heartbeats);
}

#[test]
fn typed_values_are_checked() {
    check_error(
        "replication.factor = three",
        "`replication.factor` must be a whole number from -1 to 32767, not `three`",
    );
    check_error("replication.factor = 0", "`replication.factor` cannot be 0");
    check_error(
        "sync.topic.configs.enabled = on",
        "`sync.topic.configs.enabled` must be true or false, not `on`",
    );
    check_error(
        "topics = a(",
        "`a(` is no valid pattern: Parsing error at position 2: \
         Opening parenthesis without closing parenthesis",
    );
    check_error("replication.policy.separator =", "`replication.policy.separator` cannot be empty");
    check_error("replication.policy.separator = /", "`/` cannot stand in topic names");
    check_error(
        "A->B.use.defaults.from = both",
        "`use.defaults.from` must be source or target, not `both`",
    );
    check_error(
        "A.consumer.auto.offset.reset = by_duration:P1D",
        "`auto.offset.reset` = by_duration:p1d is not supported",
    );
}

#[test]
fn replication_policies() {
    let identity = "org.apache.kafka.connect.mirror.IdentityReplicationPolicy";
    let link = only_link(&format!("replication.policy.class = {identity}"));
    assert_eq!(link.topics.naming.remote_topic("t"), "t");
    assert_eq!(link.topics.naming.remote_topic("heartbeats"), "A.heartbeats");
    let link = only_link("replication.policy.separator = _");
    assert_eq!(link.topics.naming.remote_topic("t"), "A_t");
    assert_eq!(link.topics.naming.internal_separator, "_");
    let key = "replication.policy.internal.topic.separator.enabled";
    let link = only_link(&format!("replication.policy.separator = _\n{key} = false"));
    assert_eq!(link.topics.naming.internal_separator, ".");
    check_error(
        "replication.policy.class = com.acme.Policy",
        "the replication policy com.acme.Policy cannot run here",
    );
}

#[test]
fn java_classes_are_refused_and_shipped_ones_are_fine() {
    for (key, class) in [
        ("topic.filter.class", "com.acme.Filter"),
        ("group.filter.class", "com.acme.Filter"),
        ("config.property.filter.class", "com.acme.Filter"),
        ("forwarding.admin.class", "com.acme.Admin"),
        ("metric.reporters", "com.acme.Reporter"),
        ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("A->B.value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("B.header.converter", "com.acme.Converter"),
    ] {
        check_error(
            &format!("{key} = {class}"),
            &format!("`{key}` names {class}, which cannot run here"),
        );
    }
    check_error(
        "A->B.transforms = mask\nA->B.transforms.mask.type = com.acme.Mask",
        "`A->B.transforms`: single message transforms cannot run here: batches stay raw",
    );
    check_error(
        "A.consumer.interceptor.classes = com.acme.Spy",
        "`interceptor.classes` names a Java class, which cannot run here",
    );
    let (_, report) = with(
        "topic.filter.class = org.apache.kafka.connect.mirror.DefaultTopicFilter\n\
         metric.reporters = org.apache.kafka.common.metrics.JmxReporter\n\
         key.converter = org.apache.kafka.connect.converters.ByteArrayConverter\ntransforms =",
    );
    assert!(!report.has_errors(), "{}", report.render());
}

#[test]
fn the_source_consumer_s_settings_decide_the_start() {
    let (_, report) = with("A.consumer.isolation.level = read_committed");
    assert_eq!(said(&report, Severity::Info), Vec::<String>::new(), "it is how Farlog reads");
    assert_eq!(only_link("A.consumer.auto.offset.reset = latest").start, Start::Latest);
    assert_eq!(only_link("A->B.consumer.auto.offset.reset = latest").start, Start::Latest);
    let layered = "A.consumer.auto.offset.reset = latest\n";
    assert_eq!(
        only_link(&format!("{layered}A->B.consumer.auto.offset.reset = earliest")).start,
        Start::Latest,
        "the cluster's consumer wins over the flow's"
    );
    assert_eq!(
        only_link(&format!("{layered}A->B.source.consumer.auto.offset.reset = earliest")).start,
        Start::Earliest
    );
    let none = only_link("A.consumer.auto.offset.reset = none");
    assert_eq!(none.on_source_data_loss, OnSourceDataLoss::Stop);
}

#[test]
fn one_identity_per_cluster() {
    let scram = "SASL_PLAINTEXT\nsasl.mechanism = SCRAM-SHA-256\nsasl.jaas.config = \
                 ScramLoginModule required username=\"u\" password=\"p\";";
    let (topology, report) = with(&format!("security.protocol = {scram}"));
    assert!(!report.has_errors(), "{}", report.render());
    for alias in ["A", "B"] {
        assert_eq!(topology.clusters[alias].security.sasl.as_ref().unwrap().username, "u");
    }
    let (topology, _) =
        with(&format!("B.security.protocol = PLAINTEXT\nsecurity.protocol = {scram}"));
    assert!(topology.clusters["B"].security.sasl.is_none(), "the cluster's own wins over bare");
    assert!(topology.clusters["A"].security.sasl.is_some());
    let each = ["producer", "consumer", "admin"]
        .map(|kind| format!("A.{kind}.security.protocol = SSL\n"))
        .join("");
    let (topology, report) = with(&each);
    assert!(!report.has_errors(), "{}", report.render());
    assert!(topology.clusters["A"].security.tls.is_some());
    check_error(
        "A.producer.security.protocol = SSL",
        "the clients of A do not agree on `security.protocol`",
    );
    check_error(
        "A->B.source.cluster.security.protocol = SSL",
        "`security.protocol` for one flow only is not supported",
    );
}

#[test]
fn config_providers_are_honoured() {
    let providers = "config.providers = env, file, dir\n\
         config.providers.env.class = \
         org.apache.kafka.common.config.provider.EnvVarConfigProvider\n\
         config.providers.file.class = \
         org.apache.kafka.common.config.provider.FileConfigProvider\n\
         config.providers.dir.class = \
         org.apache.kafka.common.config.provider.DirectoryConfigProvider\n";
    let (topology, report) = with(&format!(
        "{providers}B.security.protocol = SASL_PLAINTEXT\nB.sasl.mechanism = PLAIN\n\
         B.sasl.jaas.config = PlainLoginModule required \
         username=\"${{file:/run/s.properties:user}}\" \
         password=\"${{env:PASSWORD}}\";\n"
    ));
    assert!(!report.has_errors(), "{}", report.render());
    let sasl = topology.clusters["B"].security.sasl.as_ref().unwrap();
    assert_eq!((sasl.username.as_str(), sasl.password.0.as_str()), ("me", "from-env"));
    let (topology, _) = with(&format!(
        "{providers}A.bootstrap.servers=${{file:/run/s.properties:server}}\n\
         B.bootstrap.servers=${{dir:/run/secrets:servers}}"
    ));
    assert_eq!(topology.clusters["A"].bootstrap_servers[0].to_string(), "b9:9092");
    assert_eq!(topology.clusters["B"].bootstrap_servers[0].to_string(), "b8:9092");
    check_warning(
        &format!("{providers}A.client.id = x-${{env:NOPE}}"),
        "`${env:NOPE}` stays as it is: the environment variable NOPE is not set",
    );
    check_warning(
        "A.client.id = ${vault:a:b}",
        "`${vault:a:b}` stays as it is: `config.providers` does not name vault",
    );
    check_error(
        "config.providers = v\nconfig.providers.v.class = com.acme.Vault",
        "the config provider com.acme.Vault cannot run here",
    );
}

#[test]
fn what_is_not_here_yet_is_said_until_switched_off() {
    let (_, report) = with("");
    assert_eq!(report.count(Severity::NotYet), 2, "{}", report.render());
    let (_, report) = with("sync.group.offsets.enabled = true");
    assert_eq!(report.count(Severity::NotYet), 2, "it is kept");
    let (_, report) = with("sync.topic.acls.enabled=false");
    assert_eq!(report.count(Severity::NotYet), 1, "only the take-over");
}

#[test]
fn what_is_written_for_its_readers_is_what_it_would_write() {
    let written = |more: &str| only_link(more).mirrormaker.unwrap().topics;
    let beats = |more: &str| -> Vec<String> {
        let pairs = written(more).heartbeats.into_iter();
        pairs.map(|pair| format!("{}->{}", pair.source_alias, pair.target_alias)).collect()
    };
    assert_eq!(beats(""), ["A->B", "B->A"], "also of the pair that mirrors nothing");
    assert_eq!(beats("B->A.emit.heartbeats.enabled = false"), ["A->B"]);
    assert_eq!(beats("A->B.emit.heartbeats.enabled = false"), ["B->A"]);
    assert_eq!(beats("emit.heartbeats.enabled = false"), [""; 0]);
    let topics = written("");
    assert_eq!(topics.offset_lag_max, Some(100));
    assert_eq!(topics.checkpoint_interval, Some(std::time::Duration::from_secs(60)));
    assert_eq!(topics.pair.offset_syncs_topic(), "mm2-offset-syncs.B.internal");
    assert_eq!(topics.heartbeats_replication_factor, 3);
    assert!(topics.selects_group("billing").unwrap());
    assert!(!topics.selects_group("connect-sink").unwrap());
    let topics = written(
        "offset.lag.max = 7\noffset-syncs.topic.location = target\n\
         emit.checkpoints.enabled = false\nA->B.checkpoints.topic.replication.factor = 1",
    );
    assert_eq!((topics.offset_lag_max, topics.checkpoint_interval), (Some(7), None));
    assert_eq!(topics.pair.offset_syncs_topic(), "mm2-offset-syncs.A.internal");
    assert_eq!(topics.checkpoints_replication_factor, 1);
    assert_eq!(written("emit.offset-syncs.enabled = false").offset_lag_max, None);
    let (_, report) = with("offset-syncs.topic.location = elsewhere");
    assert!(report.has_errors());
}

#[test]
fn a_file_of_another_kind_is_told_apart() {
    let (topology, report) = compile_text("bootstrap.servers=a:9092\n");
    assert!(topology.is_none());
    assert_eq!(said(&report, Severity::Error), ["`clusters` is missing"]);
    let (_, report) = compile_text("clusters = A\n");
    assert_eq!(said(&report, Severity::Error), ["`clusters` must name at least two clusters"]);
    let (_, report) = compile_text("clusters = A, B\nA->B.enabled=true\n");
    assert_eq!(
        said(&report, Severity::Error),
        ["cluster A has no `bootstrap.servers`", "cluster B has no `bootstrap.servers`"]
    );
}

#[test]
fn aliases_with_dots_are_found() {
    let text = "clusters = us, us.east\nus.bootstrap.servers = a:9092\n\
                us.east.bootstrap.servers = b:9092\nus->us.east.enabled = true\n";
    let (topology, report) = compile_text(text);
    assert!(!report.has_errors(), "{}", report.render());
    let topology = topology.unwrap();
    assert_eq!(topology.links[0].name, "us->us.east");
    assert_eq!(topology.clusters["us.east"].bootstrap_servers[0].to_string(), "b:9092");
}
