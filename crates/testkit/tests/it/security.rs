//! Who may come in: SASL, TLS and ACLs, with kcat and Java clients.

use farlog_testkit::kafka::{KafkaCluster, KafkaOptions, KafkaVersion, Listener};
use farlog_testkit::scratch::Scratch;
use farlog_testkit::tools::Tool;

/// Lists the cluster's topics through a listener with kcat, under these settings.
fn kcat(cluster: &KafkaCluster, listener: Listener, settings: &[&str]) -> Result<String, String> {
    let protocol = format!("security.protocol={}", listener.security_protocol());
    let mut tool = Tool::kcat().args(["-b", &cluster.bootstrap_of(listener), "-L", "-m", "3"]);
    let authority = format!("ssl.ca.location={}", cluster.tls().authority.display());
    for setting in settings.iter().copied().chain([protocol.as_str(), &authority]) {
        tool = tool.args(["-X", setting]);
    }
    tool.run().map(|output| output.stdout).map_err(|error| error.to_string())
}

/// Lists the cluster's topics through a listener with Kafka's own client, as alice.
///
/// SCRAM is tried with this one: librdkafka before 2.6.1, which is what Debian has, sends a nonce
/// twice, and Kafka 4 minds.
fn java(cluster: &KafkaCluster, listener: Listener, mechanism: &str) -> String {
    let scratch = Scratch::new("java-client").expect("a directory");
    let settings = scratch.join("client.properties");
    let text = format!(
        "security.protocol={}\nsasl.mechanism={mechanism}\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"alice\" password=\"alice-secret\";\n\
         ssl.truststore.type=PEM\nssl.truststore.location={}\n",
        listener.security_protocol(),
        cluster.tls().authority.display(),
    );
    std::fs::write(&settings, text).expect("a file");
    Tool::kafka(cluster.version(), "org.apache.kafka.tools.TopicCommand")
        .args(["--bootstrap-server", &cluster.bootstrap_of(listener), "--list"])
        .arg("--command-config")
        .arg(settings.display())
        .run()
        .expect("alice is let in")
        .stdout
}

#[test]
fn sasl_and_tls_let_in_whom_they_should() {
    for version in KafkaVersion::ALL {
        let options = KafkaOptions::new(version)
            .listener(Listener::Sasl)
            .listener(Listener::Tls)
            .listener(Listener::SaslTls)
            .user("alice", "alice-secret")
            .user("bob", "bob-secret")
            .authorizer();
        let cluster = KafkaCluster::start(options).unwrap();
        cluster.create_topic("secret", 1, &[]).unwrap();
        assert!(kcat(&cluster, Listener::Tls, &[]).unwrap().contains("secret"));
        let alice = ["sasl.username=alice", "sasl.password=alice-secret", "sasl.mechanism=PLAIN"];
        let bob = ["sasl.username=bob", "sasl.password=bob-secret", "sasl.mechanism=PLAIN"];
        let wrong = ["sasl.username=alice", "sasl.password=bob-secret", "sasl.mechanism=PLAIN"];
        assert!(kcat(&cluster, Listener::Sasl, &wrong).is_err());
        let seen = kcat(&cluster, Listener::Sasl, &alice).unwrap();
        assert!(!seen.contains("secret"), "nobody has an ACL yet: {seen}");
        allow_alice(&cluster);
        assert!(kcat(&cluster, Listener::SaslTls, &alice).unwrap().contains("secret"));
        assert!(!kcat(&cluster, Listener::SaslTls, &bob).unwrap().contains("secret"));
        assert_eq!(java(&cluster, Listener::Sasl, "SCRAM-SHA-256"), "secret\n");
        assert_eq!(java(&cluster, Listener::SaslTls, "SCRAM-SHA-512"), "secret\n");
    }
}

fn allow_alice(cluster: &KafkaCluster) {
    let command = if cluster.version() < KafkaVersion::V4_3 {
        "kafka.admin.AclCommand"
    } else {
        "org.apache.kafka.tools.AclCommand"
    };
    Tool::kafka(cluster.version(), command)
        .args(["--bootstrap-server", &cluster.bootstrap(), "--add"])
        .args(["--allow-principal", "User:alice", "--operation", "Describe", "--topic", "secret"])
        .run()
        .expect("the ACL is added");
}

#[test]
fn client_certificates_can_be_required() {
    let options = KafkaOptions::new(KafkaVersion::V4_3)
        .listener(Listener::Tls)
        .client_certificates_required();
    let cluster = KafkaCluster::start(options).unwrap();
    assert!(kcat(&cluster, Listener::Tls, &[]).is_err());
    let tls = cluster.tls();
    let certificate = format!("ssl.certificate.location={}", tls.client_certificate.display());
    let key = format!("ssl.key.location={}", tls.client_key.display());
    kcat(&cluster, Listener::Tls, &[&certificate, &key]).unwrap();
}
