//! Where the programs of foreign clients are: `cargo xtask fetch-clients` puts them there.

use std::path::PathBuf;
use std::{fmt, fs};

use crate::jars::workspace;
use crate::tools::Tool;

/// A language whose clients tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// franz-go.
    Go,
    /// kafkajs.
    Node,
    /// librdkafka (through confluent-kafka), aiokafka and kafka-python.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 3] = [Language::Go, Language::Node, Language::Python];

    /// The name of its directories.
    pub fn name(self) -> &'static str {
        match self {
            Language::Go => "go",
            Language::Node => "node",
            Language::Python => "python",
        }
    }

    /// Where the sources are, and the file that pins what they need.
    pub fn sources(self) -> PathBuf {
        workspace().join("crates/broker/tests/clients").join(self.name())
    }

    /// Where what is built or installed goes.
    pub fn directory(self) -> PathBuf {
        workspace().join("target/clients").join(self.name())
    }

    /// The file that says that all is there; written last.
    pub fn marker(self) -> PathBuf {
        self.directory().join("complete")
    }

    /// The file with the sentence that says why nothing can be there on this machine.
    pub fn absence(self) -> PathBuf {
        self.directory().join("absent")
    }

    /// A program of this language; `source` is its file, if there are several.
    ///
    /// # Errors
    /// When it cannot be run here, or was not fetched.
    pub fn tool(self, source: &str) -> Result<Tool, NoClient> {
        if let Ok(why) = fs::read_to_string(self.absence()) {
            return Err(NoClient::Absent { why: why.trim().to_owned() });
        }
        if !self.marker().exists() {
            return Err(NoClient::NotFetched { language: self });
        }
        let directory = self.directory();
        Ok(match self {
            Language::Go => Tool::program(&directory.join("client").display().to_string()),
            Language::Node => Tool::program("node").arg(directory.join(source).display()),
            Language::Python => {
                Tool::program(&directory.join("venv/bin/python").display().to_string())
                    .arg("-B")
                    .arg(self.sources().join(source).display())
            }
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Why a client cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoClient {
    /// This machine cannot have it.
    #[error("{why}")]
    Absent {
        /// Why, in a sentence.
        why: String,
    },
    /// It was never fetched.
    #[error("the {language} clients are not there: run `cargo xtask fetch-clients`")]
    NotFetched {
        /// The language.
        language: Language,
    },
}
