//! Patterns of names, of topics and of transactional ids, in the dialect of RE2 that Kafka takes.

use regex::{Regex, RegexBuilder};

/// Bytes of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// A pattern of whole names.
#[derive(Clone, Debug)]
pub(crate) struct NamePattern {
    whole: Regex,
}

impl NamePattern {
    /// # Errors
    /// A sentence for people if it is none, or too large.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let compiled = |pattern: &str| {
            RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build().map_err(|error| {
                // The first lines repeat the pattern.
                let text = error.to_string();
                text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            })
        };
        // By itself first: what is not balanced alone must not become so in a group.
        compiled(pattern)?;
        Ok(Self { whole: compiled(&format!(r"\A(?:{pattern})\z"))? })
    }

    /// Whether it stands for the whole name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.whole.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_whole_names() {
        let pattern = NamePattern::new("orders|pay.*").unwrap();
        assert!(pattern.matches("orders") && pattern.matches("payments"));
        assert!(!pattern.matches("orders-2") && !pattern.matches("repay"));
        for wrong in ["(", "a)(?:b", "[z-a]", "(?=a)", r"(a)\1", "(a{1000}){1000}"] {
            assert!(!NamePattern::new(wrong).unwrap_err().is_empty(), "{wrong}");
        }
    }
}
