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
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("farlog.yaml");
        std::fs::write(&file, SETTINGS).unwrap();
        let plaintext = "security.protocol=SASL_PLAINTEXT\n";
        std::fs::write(folder.path().join("b.properties"), plaintext).unwrap();
        std::fs::write(folder.path().join("login"), "farlog:first\n").unwrap();
        let settings = read(&file).unwrap();
        let shared: BTreeMap<String, Arc<SharedCluster>> = settings
            .iter()
            .map(|(alias, settings)| {
                let options = clusters::options(settings).unwrap();
                (alias.clone(), Arc::new(SharedCluster::new(alias, options)))
            })
            .collect();
        let rotation = Rotation::new(file, &settings, &shared);
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
