//! ApiVersions, versions 0 to 4.
//!
//! - Announces the table of `mod.rs`, in the ranges that are served (but for `PRODUCE_MIN`).
//! - KIP-511: a version that we do not know is answered in version 0 with `UNSUPPORTED_VERSION`
//!   and our range (`connection.rs` sees to it); name and version of the client are checked as
//!   Kafka does.
//! - KIP-584: `metadata.version` is finalized, as clients take it for the sign of KRaft;
//!   `group.version` and `transaction.version`, by which they know that KIP-848 and KIP-890 are
//!   served.

use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use farlog_wire::{ApiKey, ErrorCode, VersionRange};

use super::{RequestContext, SERVED};
use crate::transactions::RAISES_EPOCHS;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

/// The level of Kafka 4.3's metadata (`MetadataVersion.IBP_4_3_IV0`).
const METADATA_VERSION: i16 = 30;
/// The lowest that Kafka 4 still reads.
const METADATA_VERSION_MIN: i16 = 7;

/// From this version on clients understand a feature that may be at level 0 (KAFKA-17492): they are
/// not told of it before.
const KNOWS_LEVEL_ZERO: i16 = 4;

/// What is announced, though versions below 3 are not served: librdkafka compresses only for
/// brokers that announce it. Kafka 4 does the same (KAFKA-18659).
const PRODUCE_MIN: i16 = 0;

/// A feature of the cluster (KIP-584).
struct Feature {
    name: &'static str,
    /// The lowest level there could be.
    min: i16,
    /// The level it is at, which is the highest there could be.
    level: i16,
}

/// All of them. Their levels are those of the broker: it has no other to agree with.
const FEATURES: &[Feature] = &[
    Feature { name: "metadata.version", min: METADATA_VERSION_MIN, level: METADATA_VERSION },
    // KIP-848.
    Feature { name: "group.version", min: 0, level: 1 },
    // KIP-890, part 2.
    Feature { name: "transaction.version", min: 0, level: RAISES_EPOCHS },
];

pub(super) async fn handle(
    context: RequestContext,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    if context.version >= 3 && !is_software(&request) {
        let error_code = ErrorCode::INVALID_REQUEST;
        return ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() };
    }
    let is_understood = |feature: &&Feature| context.version >= KNOWS_LEVEL_ZERO || feature.min > 0;
    let supported = |feature: &Feature| SupportedFeatureKey {
        name: feature.name.to_owned(),
        min_version: feature.min,
        max_version: feature.level,
    };
    let finalized = |feature: &Feature| FinalizedFeatureKey {
        name: feature.name.to_owned(),
        max_version_level: feature.level,
        min_version_level: feature.level,
    };
    ApiVersionsResponse {
        api_keys: table(),
        supported_features: FEATURES.iter().filter(is_understood).map(supported).collect(),
        finalized_features_epoch: 0,
        finalized_features: FEATURES.iter().map(finalized).collect(),
        ..ApiVersionsResponse::default()
    }
}

/// What a client of a version that we do not know is told.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: table(),
        ..ApiVersionsResponse::default()
    }
}

fn table() -> Vec<ApiVersion> {
    let line = |api: &super::ServedApi| ApiVersion {
        api_key: api.key.into(),
        min_version: if api.key == ApiKey::Produce { PRODUCE_MIN } else { api.versions.min },
        max_version: api.versions.max,
    };
    SERVED.iter().map(line).collect()
}

/// Kafka's rule (`ApiVersionsRequest.isValid`): letters, digits, dots and dashes, not at the ends.
fn is_software(request: &ApiVersionsRequest) -> bool {
    let plain = |text: &str| {
        let inner = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
        let ends = |letter: Option<char>| letter.is_some_and(|end| end.is_ascii_alphanumeric());
        text.chars().all(inner) && ends(text.chars().next()) && ends(text.chars().next_back())
    };
    plain(&request.client_software_name) && plain(&request.client_software_version)
}
