//! Is there a Java that Kafka runs on?

use std::io;
use std::process::Command;

/// Why Kafka cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum NoJava {
    /// There is none.
    #[error("Kafka needs Java {needed} or newer, and there is no `java` on the PATH")]
    Missing {
        /// The least release, such as 17.
        needed: u32,
    },
    /// It is too old.
    #[error("Kafka needs Java {needed} or newer, and `java` on the PATH is {found}")]
    TooOld {
        /// The least release.
        needed: u32,
        /// What it says it is, such as `1.8.0_372`.
        found: String,
    },
    /// It does not say which it is.
    #[error("`java -version` is not answered as by a Java: {answer}")]
    Strange {
        /// What was answered instead.
        answer: String,
    },
}

/// Checks that there is a `java` on the `PATH`, and not an older one than `needed`.
///
/// # Errors
/// When there is not.
pub fn require(needed: u32) -> Result<(), NoJava> {
    let output =
        Command::new("java").arg("-version").output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NoJava::Missing { needed },
            _ => NoJava::Strange { answer: error.to_string() },
        })?;
    let answer = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = match version(&answer) {
        Some(found) if output.status.success() => found.to_owned(),
        _ => return Err(NoJava::Strange { answer }),
    };
    match release(&found) {
        Some(release) if release >= needed => Ok(()),
        _ => Err(NoJava::TooOld { needed, found }),
    }
}

/// What stands between quotes in `openjdk version "17.0.15" 2025-04-15`.
fn version(answer: &str) -> Option<&str> {
    let line = answer.lines().find(|line| line.contains(" version \""))?;
    line.split('"').nth(1)
}

/// 17 of `17.0.15` and of `17-ea`; 1 of `1.8.0_372`, which is old enough not to matter.
fn release(version: &str) -> Option<u32> {
    version.split(|one: char| !one.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_from_what_java_says() {
        let answer = "Picked up JAVA_TOOL_OPTIONS: -Dx=y\n\
                      openjdk version \"17.0.15\" 2025-04-15\n\
                      OpenJDK Runtime Environment (build 17.0.15+6-Debian-1deb12u1)\n";
        assert_eq!(version(answer), Some("17.0.15"));
        assert_eq!(version("bash: nonsense"), None);
        assert_eq!(release("17.0.15"), Some(17));
        assert_eq!(release("21"), Some(21));
        assert_eq!(release("24-ea"), Some(24));
        assert_eq!(release("1.8.0_372"), Some(1));
    }

    #[test]
    fn an_old_one_is_named() {
        require(17).unwrap();
        let refused = require(1_000).unwrap_err().to_string();
        assert!(
            refused.starts_with("Kafka needs Java 1000 or newer, and `java` on the"),
            "{refused}"
        );
    }
}
