//! Files that change while a process runs.

use tempfile::TempDir;

use super::super::clusters;
use super::*;

const SETTINGS: &str = "\
version: 1
clusters:
  a: { bootstrap-servers: [a:9092] }
  b:
    bootstrap-servers: [b:9092]
    client-properties: b.properties
    credentials: \"${file:login}\"
links:
  l: { source: a, target: b, topics: [orders] }
";

/// A settings file with its password, and what watches it.
struct Watching {
    folder: TempDir,
    rotation: Rotation,
    cluster: Arc<SharedCluster>,
}

impl Watching {
    fn new() -> Watching {
        let plaintext = "security.protocol=SASL_PLAINTEXT\n";
        let beside = [("b.properties", plaintext), ("login", "farlog:first\n")];
        Watching::of(tempfile::tempdir().unwrap(), "farlog.yaml", SETTINGS, &beside)
    }

    /// A settings file, and files beside it.
    fn of(folder: TempDir, name: &str, text: &str, beside: &[(&str, &str)]) -> Watching {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        for (name, text) in beside {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let settings = read(&file).unwrap();
        let shared: BTreeMap<String, Arc<SharedCluster>> = settings
            .iter()
            .map(|(alias, settings)| {
                let options = clusters::options(settings).unwrap();
                (alias.clone(), Arc::new(SharedCluster::new(alias, options)))
            })
            .collect();
        let rotation = Rotation::new(file, &settings, &shared, Arc::default());
        Watching { folder, rotation, cluster: Arc::clone(&shared["b"]) }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn look(&mut self) {
        self.rotation.take(read(&self.rotation.file));
    }

    fn password(&self) -> String {
        password(&self.cluster)
    }
}

fn password(cluster: &SharedCluster) -> String {
    cluster.latest_security().sasl.unwrap().password.to_string()
}

#[test]
fn a_new_password_is_taken_over_and_an_unusable_file_is_not() {
    let mut watching = Watching::new();
    watching.look();
    assert_eq!(watching.password(), "first");
    watching.write("login", "farlog:second\n");
    watching.look();
    assert_eq!(watching.password(), "second");
    watching.write("login", "farlog:third\n");
    watching.write("farlog.yaml", &SETTINGS.replace("links:", "banana:"));
    watching.look();
    assert!(watching.rotation.unusable);
    assert_eq!(watching.password(), "second");
    std::fs::remove_file(watching.folder.path().join("farlog.yaml")).unwrap();
    watching.look();
    assert_eq!(watching.password(), "second");
    watching.write("farlog.yaml", SETTINGS);
    watching.look();
    assert!(!watching.rotation.unusable);
    assert_eq!(watching.password(), "third");
}

#[test]
fn secrets_for_another_address_are_not_taken_over() {
    let mut watching = Watching::new();
    watching.write("login", "farlog:second\n");
    watching.write("farlog.yaml", &SETTINGS.replace("[b:9092]", "[c:9092]"));
    watching.look();
    assert_eq!(watching.password(), "first");
    watching.write("farlog.yaml", SETTINGS);
    watching.look();
    assert_eq!(watching.password(), "second");
}

#[test]
fn a_password_of_a_mirrormaker_file_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "clusters = a, b\n\
         a.bootstrap.servers = a:9092\n\
         b.bootstrap.servers = b:9092\n\
         b.security.protocol = SASL_PLAINTEXT\n\
         b.sasl.mechanism = SCRAM-SHA-512\n\
         b.sasl.jaas.config = org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"farlog\" password=\"${{file:{}/login.properties:password}}\";\n\
         config.providers = file\n\
         config.providers.file.class = \
         org.apache.kafka.common.config.provider.FileConfigProvider\n\
         a->b.enabled = true\n",
        folder.path().display()
    );
    let beside = [("login.properties", "password=first\n")];
    let mut watching = Watching::of(folder, "mm2.properties", &settings, &beside);
    assert_eq!(watching.password(), "first");
    watching.write("login.properties", "password=second\n");
    watching.look();
    assert_eq!(watching.password(), "second");
}

#[test]
fn new_certificates_are_taken_over_and_damaged_ones_are_not() {
    let authority = || {
        let names = vec!["authority.test".to_owned()];
        rcgen::generate_simple_self_signed(names).unwrap().cert.pem()
    };
    let (first, second) = (authority(), authority());
    let settings = SETTINGS.replace("    credentials: \"${file:login}\"\n", "");
    let tls = "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=ca.pem\n";
    let beside = [("b.properties", tls), ("ca.pem", first.as_str())];
    let folder = tempfile::tempdir().unwrap();
    let mut watching = Watching::of(folder, "farlog.yaml", &settings, &beside);
    let in_use = |watching: &Watching| {
        let tls = watching.rotation.clusters["b"].settings.security.tls.clone();
        String::from_utf8(tls.unwrap().authorities_pem.unwrap()).unwrap()
    };
    watching.write("ca.pem", &first[..first.len() / 2]);
    watching.look();
    assert_eq!(in_use(&watching), first);
    watching.write("ca.pem", &second);
    watching.look();
    assert_eq!(in_use(&watching), second);
}

#[tokio::test(start_paused = true)]
async fn the_file_is_looked_at_again_and_again() {
    let Watching { folder, rotation, cluster } = Watching::new();
    let running = tokio::spawn(rotation.run());
    for new in ["second", "third"] {
        std::fs::write(folder.path().join("login"), format!("farlog:{new}")).unwrap();
        sleep(2 * ROTATION_INTERVAL + SETTLE_TIME).await;
        assert_eq!(password(&cluster), new);
    }
    running.abort();
}
