//! Other people's clients over TLS and SASL.

use farlog_broker::SecurityProtocol;
use farlog_testkit::tools::Tool;
use tempfile::TempDir;

use super::world::Secured;
use crate::clients::{KAFKA, run};

/// Files for clients, in a directory of their own.
pub(super) struct Files {
    directory: TempDir,
    pub(super) bootstrap: String,
    certificates: super::world::Certificates,
}

/// A Java client with a token in a file.
pub(super) struct TokenClient {
    pub(super) config: String,
    token_url: String,
}

impl TokenClient {
    /// Lets a tool read the token: Java clients read none that they were not told of.
    pub(super) fn allow(&self, tool: Tool) -> Tool {
        tool.property("org.apache.kafka.sasl.oauthbearer.allowed.urls", &self.token_url).property(
            "org.apache.kafka.sasl.oauthbearer.allowed.files",
            &self.token_url["file://".len()..],
        )
    }
}

impl Files {
    pub(super) fn new(broker: &Secured) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let certificates = broker.certificates.clone();
        let authority = directory.path().join("authority.pem");
        std::fs::write(authority, &certificates.authority).expect("written");
        let bootstrap = broker.address(SecurityProtocol::SaslSsl).to_string();
        Self { directory, bootstrap, certificates }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Settings of a Java client.
    fn java(&self, mechanism: &str, user: &str, password: &str) -> String {
        let module = match mechanism {
            "PLAIN" => "plain.PlainLoginModule",
            _ => "scram.ScramLoginModule",
        };
        let text = format!(
            "sasl.mechanism={mechanism}\n\
             sasl.jaas.config=org.apache.kafka.common.security.{module} required \
             username=\"{user}\" password=\"{password}\";\n",
        );
        self.java_over_tls(&format!("{mechanism}-{user}.properties"), &text)
    }

    /// The same with a token.
    pub(super) fn java_with_token(&self, token: &str) -> TokenClient {
        let path = self.path("token");
        std::fs::write(&path, token).expect("written");
        let token_url = format!("file://{path}");
        let oauth = "org.apache.kafka.common.security.oauthbearer";
        let text = format!(
            "sasl.mechanism=OAUTHBEARER\n\
             sasl.login.callback.handler.class={oauth}.OAuthBearerLoginCallbackHandler\n\
             sasl.oauthbearer.token.endpoint.url={token_url}\n\
             sasl.jaas.config={oauth}.OAuthBearerLoginModule required;\n"
        );
        TokenClient { config: self.java_over_tls("token.properties", &text), token_url }
    }

    fn java_over_tls(&self, name: &str, settings: &str) -> String {
        let text = format!(
            "security.protocol=SASL_SSL\n\
             ssl.truststore.type=PEM\nssl.truststore.certificates={}\n{settings}",
            self.certificates.authority.trim().replace('\n', "\\n")
        );
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    pub(super) fn tool(&self, class: &str, config: &str) -> Tool {
        let option = match class {
            "ConsoleProducer" | "ConsoleConsumer" => "--command-config",
            _ => "--command-config",
        };
        Tool::kafka(KAFKA, &format!("org.apache.kafka.tools.{class}")).args([
            "--bootstrap-server",
            &self.bootstrap,
            option,
            config,
        ])
    }

    fn kcat(&self, mechanism: &str, user: &str, password: &str) -> Tool {
        self.kcat_over_tls()
            .args(["-X", &format!("sasl.mechanisms={mechanism}")])
            .args(["-X", &format!("sasl.username={user}")])
            .args(["-X", &format!("sasl.password={password}")])
    }

    pub(super) fn kcat_over_tls(&self) -> Tool {
        Tool::kcat()
            .args(["-b", &self.bootstrap, "-X", "security.protocol=SASL_SSL"])
            .args(["-X", &format!("ssl.ca.location={}", self.path("authority.pem"))])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_tools_come_over_sasl_ssl_and_make_users() {
    let broker = Secured::start().await;
    let files = Files::new(&broker);
    broker.broker.topic("java", 1, &[]).await;
    let alice = files.java("PLAIN", "alice", "alice's secret");
    // An administrator makes a user…
    let made = Tool::kafka(KAFKA, "kafka.admin.ConfigCommand")
        .args(["--bootstrap-server", &files.bootstrap, "--command-config", &alice])
        .args(["--alter", "--entity-type", "users", "--entity-name", "carol"])
        .args(["--add-config", "SCRAM-SHA-512=[iterations=8192,password=carol's]"]);
    run(made).await;
    let told = Tool::kafka(KAFKA, "kafka.admin.ConfigCommand")
        .args(["--bootstrap-server", &files.bootstrap, "--command-config", &alice])
        .args(["--describe", "--entity-type", "users", "--entity-name", "carol"]);
    let told = run(told).await;
    assert!(told.contains("SCRAM-SHA-512=iterations=8192"), "{told}");
    // … who produces, and the administrator reads.
    let carol = files.java("SCRAM-SHA-512", "carol", "carol's");
    let produce = files.tool("ConsoleProducer", &carol).args(["--topic", "java"]);
    run(produce.input("one\ntwo\n")).await;
    let consume = files.tool("consumer.ConsoleConsumer", &alice).args([
        "--topic",
        "java",
        "--from-beginning",
        "--max-messages",
        "2",
    ]);
    assert_eq!(run(consume).await, "one\ntwo\n");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_comes_over_sasl_ssl_with_every_mechanism() {
    let broker = Secured::start().await;
    let files = Files::new(&broker);
    broker.broker.topic("kcat", 1, &[]).await;
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let kcat = || files.kcat(mechanism, "bob", "bob's secret");
        run(kcat().args(["-P", "-t", "kcat"]).input(format!("{mechanism}\n"))).await;
        let read = run(kcat().args(["-C", "-t", "kcat", "-o", "-1", "-e", "-q"])).await;
        assert_eq!(read.trim(), mechanism);
    }
    broker.stop().await;
}
