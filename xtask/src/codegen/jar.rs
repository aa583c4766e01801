//! Where the definitions come from: the `kafka-clients` jar on Maven Central.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::KAFKA_VERSION;

/// The jar, if `cargo xtask fetch-kafka` has brought it.
pub(super) fn at_hand(root: &Path) -> Option<PathBuf> {
    let libraries = root.join("target/kafka").join(KAFKA_VERSION).join("libs");
    Some(libraries.join(jar_name())).filter(|jar| jar.is_file())
}

fn jar_name() -> String {
    format!("kafka-clients-{KAFKA_VERSION}.jar")
}

/// The directory of the pinned release's definitions, fetched under `target/` if need be.
pub(super) fn definitions(root: &Path) -> Result<PathBuf, String> {
    let directory = root.join("target/codegen").join(KAFKA_VERSION);
    let definitions = directory.join("common/message");
    if definitions.join("FetchRequest.json").is_file() {
        return Ok(definitions);
    }
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let jar = match at_hand(root) {
        Some(jar) => jar,
        None => {
            fetch(&directory)?;
            directory.join(jar_name())
        }
    };
    let mut unzip = Command::new("unzip");
    unzip.args(["-q", "-o"]).arg(&jar).arg("common/message/*.json").arg("-d").arg(&directory);
    run(&mut unzip)?;
    Ok(definitions)
}

fn fetch(directory: &Path) -> Result<(), String> {
    let artifact = format!("-Dartifact=org.apache.kafka:kafka-clients:{KAFKA_VERSION}");
    let output = format!("-DoutputDirectory={}", directory.display());
    run(Command::new("mvn").args(["-q", "-B", "dependency:copy", &artifact, &output]))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} failed ({status})")),
        Err(error) => Err(format!("{program} is needed to read Kafka's definitions: {error}")),
    }
}
