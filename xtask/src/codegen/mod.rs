//! Writes `crates/wire/src/messages` from the message definitions inside Kafka's own client jar.
//!
//! The output is committed, so that a build needs neither Java nor network; `--check` says whether
//! it is current. Rules: Kafka's `common/message/README.md`, and what Kafka's generator does where
//! that is silent (`docs/adr/0001-generated-wire.md`).

mod emit;
mod index;
mod jar;
mod names;
mod samples;
mod schema;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schema::{Message, Versions};

/// The release whose definitions are used.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// The APIs that Farlog sends or serves, by Kafka's names.
const APIS: [&str; 47] = [
    "AddOffsetsToTxn",
    "AddPartitionsToTxn",
    "AlterClientQuotas",
    "AlterConfigs",
    "AlterUserScramCredentials",
    "ApiVersions",
    "ConsumerGroupDescribe",
    "ConsumerGroupHeartbeat",
    "CreateAcls",
    "CreatePartitions",
    "CreateTopics",
    "DeleteAcls",
    "DeleteGroups",
    "DeleteRecords",
    "DeleteTopics",
    "DescribeAcls",
    "DescribeClientQuotas",
    "DescribeCluster",
    "DescribeConfigs",
    "DescribeGroups",
    "DescribeLogDirs",
    "DescribeProducers",
    "DescribeTransactions",
    "DescribeUserScramCredentials",
    "ElectLeaders",
    "EndTxn",
    "Fetch",
    "FindCoordinator",
    "Heartbeat",
    "IncrementalAlterConfigs",
    "InitProducerId",
    "JoinGroup",
    "LeaveGroup",
    "ListGroups",
    "ListOffsets",
    "ListTransactions",
    "Metadata",
    "OffsetCommit",
    "OffsetDelete",
    "OffsetFetch",
    "OffsetForLeaderEpoch",
    "Produce",
    "SaslAuthenticate",
    "SaslHandshake",
    "SyncGroup",
    "TxnOffsetCommit",
    "WriteTxnMarkers",
];

/// The headers of frames.
const HEADERS: [&str; 2] = ["RequestHeader", "ResponseHeader"];

/// What can be asked of the code generator.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if the committed code is not what would be written
    #[arg(long)]
    pub(crate) check: bool,
    /// A directory with Kafka's message definitions, instead of those of the pinned release
    #[arg(long, value_name = "DIR")]
    pub(crate) definitions: Option<PathBuf>,
}

/// Writes the generated files, or with `check` compares them, under the workspace `root`.
///
/// # Errors
/// A sentence that says what is missing, not understood, or out of date.
pub(crate) fn run(root: &Path, options: &Options) -> Result<(), String> {
    let definitions = match &options.definitions {
        Some(directory) => directory.clone(),
        None => jar::definitions(root)?,
    };
    let files = generate(&definitions)?;
    if options.check { check(root, &files) } else { write(root, &files) }
}

/// Path under the workspace root, and content.
type Files = BTreeMap<PathBuf, String>;

fn generate(definitions: &Path) -> Result<Files, String> {
    let mut messages = Vec::new();
    for api in APIS {
        let mut request = schema::read(definitions, &format!("{api}Request"))?;
        let mut response = schema::read(definitions, &format!("{api}Response"))?;
        // The response has the versions of its request, but only the request is marked.
        if let Some(stable) = without_unstable_versions(&request) {
            request.restrict(stable);
            response.restrict(stable);
        }
        messages.extend([request, response]);
    }
    for header in HEADERS {
        messages.push(schema::read(definitions, header)?);
    }
    let all_requests = schema::read_api_names(definitions)?;

    let wire = Path::new("crates/wire");
    let mut files = Files::new();
    for message in &messages {
        let file = format!("{}.rs", names::snake_case(&message.name));
        files.insert(wire.join("src/messages").join(file), emit::message(message)?);
    }
    files.insert(wire.join("src/messages/mod.rs"), index::messages(&messages));
    files.insert(wire.join("src/api_key.rs"), index::api_keys(&all_requests));
    files.insert(wire.join("tests/messages/samples.rs"), samples::all(&messages)?);
    files.into_iter().map(|(path, text)| Ok((path, format_rust(&text)?))).collect()
}

/// The stable versions of a message whose latest is not: Kafka changes that one at will.
fn without_unstable_versions(message: &Message) -> Option<Versions> {
    let stable = Versions { max: message.valid_versions.max - 1, ..Versions::ALL };
    message.latest_version_unstable.then_some(stable)
}

fn write(root: &Path, files: &Files) -> Result<(), String> {
    for stray in strays(root, files)? {
        fs::remove_file(&stray).map_err(|error| format!("{}: {error}", stray.display()))?;
    }
    for (path, text) in files {
        let path = root.join(path);
        let directory = path.parent().expect("generated files are inside the workspace");
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    println!("codegen: {} files from Kafka {KAFKA_VERSION}", files.len());
    Ok(())
}

fn check(root: &Path, files: &Files) -> Result<(), String> {
    let mut stale = strays(root, files)?;
    stale.extend(
        files
            .iter()
            .filter(|(path, text)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(text))
            .map(|(path, _)| path.clone()),
    );
    if stale.is_empty() {
        println!("codegen: {} files are current with Kafka {KAFKA_VERSION}", files.len());
        return Ok(());
    }
    let names: Vec<_> = stale.iter().map(|path| path.display().to_string()).collect();
    Err(format!("not current, run `cargo xtask codegen`:\n  {}", names.join("\n  ")))
}

/// Files among the generated messages that would not be generated today.
fn strays(root: &Path, files: &Files) -> Result<Vec<PathBuf>, String> {
    let directory = Path::new("crates/wire/src/messages");
    let Ok(entries) = fs::read_dir(root.join(directory)) else { return Ok(Vec::new()) };
    let mut strays = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| format!("{}: {error}", directory.display()))?.file_name();
        if !files.contains_key(&directory.join(&name)) {
            strays.push(root.join(directory).join(name));
        }
    }
    Ok(strays)
}

fn format_rust(text: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("rustfmt: {error}");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=100,use_small_heuristics=Max"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut input = rustfmt.stdin.take().expect("stdin is piped");
    // rustfmt reads all of its input before it writes, so neither side waits for the other.
    input.write_all(text.as_bytes()).map_err(failed)?;
    drop(input);
    let output = rustfmt.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(format!("rustfmt refused generated code ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("rustfmt: {error}"))
}
