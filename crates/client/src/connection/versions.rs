//! Which versions of each API a broker speaks (KIP-35), and the choice made from them.

use std::collections::BTreeMap;

use farlog_wire::VersionRange;
use farlog_wire::messages::api_versions_response::ApiVersionsResponse;
use farlog_wire::{ApiKey, Request};

use crate::error::UnsupportedVersion;

/// A broker's answer to `ApiVersions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct BrokerVersions(BTreeMap<i16, VersionRange>);

// === impl BrokerVersions ===

impl BrokerVersions {
    pub(crate) fn new(response: &ApiVersionsResponse) -> BrokerVersions {
        BrokerVersions(
            response
                .api_keys
                .iter()
                .map(|api| {
                    (api.api_key, VersionRange { min: api.min_version, max: api.max_version })
                })
                .collect(),
        )
    }

    pub(crate) fn range(&self, api: ApiKey) -> Option<VersionRange> {
        self.0.get(&i16::from(api)).copied()
    }

    /// The highest version that both sides speak.
    pub(crate) fn choose<R: Request>(&self) -> Result<i16, UnsupportedVersion> {
        self.choose_from(R::API_KEY, R::VERSIONS)
    }

    pub(crate) fn choose_from(
        &self,
        api: ApiKey,
        ours: VersionRange,
    ) -> Result<i16, UnsupportedVersion> {
        let theirs = self.range(api);
        let highest = theirs.map(|theirs| theirs.max.min(ours.max));
        match (theirs, highest) {
            (Some(theirs), Some(highest)) if highest >= theirs.min && highest >= ours.min => {
                Ok(highest)
            }
            _ => Err(UnsupportedVersion { api, ours, theirs }),
        }
    }
}
