//! Which groups follow a link.

use crate::topics::java_pattern::PatternMatchError;
use crate::topics::{TopicFilter, TopicRule};

/// Groups of Farlog's own links.
const OWN_PREFIX: &str = "__farlog-";

/// What happens when a group goes back at the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rewinds {
    /// It goes back at the target, too: who resets a group wants records to be read again.
    #[default]
    Follow,
    /// It stays at the target until the source is beyond that again.
    Ignore,
}

/// Which groups follow, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSelection {
    /// By the rules that topics are selected by.
    pub filter: TopicFilter,
    /// What happens when a group goes back at the source.
    pub rewinds: Rewinds,
}

impl GroupSelection {
    /// Every group but those of tools and of links.
    ///
    /// # Panics
    /// Never: the patterns are constants.
    pub fn everything() -> Self {
        let exclude = ["console-consumer-", "connect-", "__"];
        let exclude = exclude.map(|prefix| TopicRule::Prefix(prefix.to_owned()));
        let include = vec![TopicRule::Prefix(String::new())];
        let filter = TopicFilter { include, exclude: exclude.to_vec() };
        Self { filter, rewinds: Rewinds::default() }
    }

    /// Whether `group` follows.
    ///
    /// # Errors
    /// If a pattern gave up on the name.
    pub fn selects(&self, group: &str) -> Result<bool, PatternMatchError> {
        // A group without a name is one of no consumer, and a link's own group says who owns it.
        if group.is_empty() || group.starts_with(OWN_PREFIX) {
            return Ok(false);
        }
        self.filter.matches(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_and_links_do_not_follow_by_default() {
        let all = GroupSelection::everything();
        let selected = |group: &str| all.selects(group).unwrap();
        assert!(selected("billing"));
        for other in ["", "console-consumer-17", "connect-sink", "__farlog-link", "__any"] {
            assert!(!selected(other), "{other}");
        }
        let filter =
            TopicFilter { include: vec![TopicRule::Prefix(String::new())], exclude: Vec::new() };
        let own = GroupSelection { filter, ..all };
        assert!(!own.selects("__farlog-link").unwrap(), "whatever was asked for");
    }
}
