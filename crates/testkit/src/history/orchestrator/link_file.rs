//! A `farlog.yaml` with one link, and how to run the binary with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Command;
use super::clusters::Clusters;
use super::script::Side;
use crate::history::session::HistoryError;

/// The settings of one link.
#[derive(Clone, Debug)]
pub struct LinkFile {
    /// The link's name.
    pub name: String,
    /// Bootstrap servers of the source.
    pub source: String,
    /// Bootstrap servers of the target.
    pub target: String,
    /// Topics are mirrored whose name begins so.
    pub topic_prefix: String,
    /// How long the group waits for a silent instance.
    pub session_timeout: Duration,
    /// More fields of the link, a line each: `start: latest`.
    pub fields: Vec<String>,
}

impl LinkFile {
    /// A link between two clusters, through their proxies.
    pub fn new(name: &str, clusters: &Clusters, topic_prefix: &str) -> LinkFile {
        LinkFile {
            name: name.to_owned(),
            source: clusters.bootstrap(Side::Source),
            target: clusters.bootstrap(Side::Target),
            topic_prefix: topic_prefix.to_owned(),
            session_timeout: Duration::from_secs(1),
            fields: Vec::new(),
        }
    }

    /// Adds a field of the link.
    pub fn field(mut self, line: impl Into<String>) -> LinkFile {
        self.fields.push(line.into());
        self
    }

    /// The file's text.
    pub fn to_yaml(&self) -> String {
        let mut yaml = format!(
            "version: 1\n\
             clusters:\n  \
               source: {{ bootstrap-servers: [\"{}\"] }}\n  \
               target: {{ bootstrap-servers: [\"{}\"] }}\n\
             links:\n  \
               {}:\n    \
                 source: source\n    \
                 target: target\n    \
                 topic-prefixes: [\"{}\"]\n    \
                 refresh-interval: 1s\n    \
                 session-timeout: {}ms\n",
            servers(&self.source),
            servers(&self.target),
            self.name,
            self.topic_prefix,
            self.session_timeout.as_millis(),
        );
        for field in &self.fields {
            yaml.push_str("    ");
            yaml.push_str(field);
            yaml.push('\n');
        }
        yaml
    }

    /// Writes the file into `directory`, and says how to run instances of `program` with it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn command(&self, program: &Path, directory: &Path) -> Result<Command, HistoryError> {
        let file: PathBuf = directory.join("farlog.yaml");
        std::fs::write(&file, self.to_yaml()).map_err(|source| HistoryError::System {
            what: format!("writing {}", file.display()),
            source,
        })?;
        let arguments = move |name: &str, listen: &str| -> Vec<OsString> {
            let file = file.clone().into_os_string();
            let named = ["--instance", name, "--listen", listen].map(OsString::from);
            [OsString::from("run"), file].into_iter().chain(named).collect()
        };
        let environment = vec![("FARLOG_LOG".into(), "info".into())];
        Ok(Command { program: program.to_owned(), arguments: Arc::new(arguments), environment })
    }
}

/// `host:port,…` as it stands between the quotes of a list.
fn servers(bootstrap: &str) -> String {
    bootstrap.replace(',', "\", \"")
}
