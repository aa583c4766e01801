//! What a person wrote, turned into what Farlog does: `farlog.yaml` and `mm2.properties`.

pub mod diagnostics;
pub mod mm2;
pub mod properties;
pub mod security;
pub mod surroundings;
pub mod topology;
pub mod values;

use std::time::Duration;

/// How often the source is asked for new topics, where nothing else is said.
pub const REFRESH_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// How often topic configs are compared, where nothing else is said.
pub const CONFIG_SYNC_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
