//! The fields about consumer groups, of families and of links.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Consumer groups of a family, and what becomes of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// Groups whose whole name matches this pattern in Java's dialect.
    #[serde(rename = "match")]
    pub matching: String,
    /// What becomes of their positions.
    #[serde(default)]
    pub on_failover: OnFailover,
    /// Where they run.
    #[serde(default)]
    pub run_in: RunIn,
}

/// What becomes of the positions of groups.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailover {
    /// What they commit is committed at the target, translated, all the time: they resume at the
    /// first record that they have not consumed.
    #[default]
    Translate,
    /// They begin at the mirror's first record.
    #[schemars(extend("x-not-yet" = "`none` leaves it to their auto.offset.reset"))]
    Earliest,
    /// They begin at the mirror's end.
    #[schemars(extend("x-not-yet" = "`none` leaves it to their auto.offset.reset"))]
    Latest,
    /// Nothing is committed for them.
    None,
}

/// Where groups run.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunIn {
    /// In the write cluster only: members elsewhere at the same time are reported.
    #[default]
    WriteCluster,
    /// In any cluster, each for itself.
    #[schemars(extend("x-not-yet" = "`on-failover: none` leaves them to themselves"))]
    Anywhere,
}

/// Which consumer groups follow a link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LinkGroups {
    /// Whether what groups commit at the source is committed at the target, translated, for as long
    /// as they have no members there.
    #[schemars(extend("default" = true))]
    pub follow: bool,
    /// Groups whose whole name matches one of these patterns in Java's dialect; without it, every
    /// group.
    #[serde(rename = "match")]
    pub matching: Option<Vec<String>>,
    /// Groups that do not follow although something above names them. Without it
    /// `console-consumer-.*`, `connect-.*` and `__.*`, unless `match` is given.
    pub exclude: Option<Vec<String>>,
    /// What happens when a group goes back at the source.
    pub rewinds: Rewinds,
}

/// What happens when a group goes back at the source.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rewinds {
    /// It goes back at the target, too.
    #[default]
    Follow,
    /// It stays at the target until it is beyond that again.
    Ignore,
}

impl Default for LinkGroups {
    fn default() -> LinkGroups {
        let (matching, exclude) = (None, None);
        LinkGroups { follow: true, matching, exclude, rewinds: Rewinds::default() }
    }
}
