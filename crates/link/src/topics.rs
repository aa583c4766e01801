//! Which topics a link mirrors, what they are called on the target, and which of their configs
//! follow: pure rules, no network.

pub mod config_sync;
pub mod filter;
pub mod java_pattern;
pub mod naming;

pub use config_sync::{
    ConfigEntry, ConfigOp, ConfigPlan, ConfigSource, ConfigSyncPolicy, DefaultsFrom, MirrorFloor,
    TimestampBounds,
};
pub use filter::{Selected, TopicFilter, TopicRule, TopicSelection};
pub use java_pattern::{JavaPattern, PatternError, PatternMatchError};
pub use naming::{Naming, NamingPolicy};
