//! ApiVersions, versions 0 to 4.
//!
//! - Announces the table of `mod.rs`, in the ranges that are served.
//! - KIP-511: a version that we do not know is answered in version 0 with `UNSUPPORTED_VERSION`
//!   and our range (`connection.rs` sees to it); name and version of the client are checked as
//!   Kafka does.
//! - KIP-584: `metadata.version` is finalized, as clients take it for the sign of KRaft.

use farlog_wire::ErrorCode;
use farlog_wire::VersionRange;
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use super::{RequestContext, SERVED};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

/// The level of Kafka 4.3's metadata (`MetadataVersion.IBP_4_3_IV0`).
const METADATA_VERSION: i16 = 30;
/// The lowest that Kafka 4 still reads.
const METADATA_VERSION_MIN: i16 = 7;

pub(super) async fn handle(
    context: RequestContext,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    if context.version >= 3 && !is_software(&request) {
        let error_code = ErrorCode::INVALID_REQUEST;
        return ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() };
    }
    let name = "metadata.version".to_owned();
    ApiVersionsResponse {
        api_keys: table(),
        supported_features: vec![SupportedFeatureKey {
            name: name.clone(),
            min_version: METADATA_VERSION_MIN,
            max_version: METADATA_VERSION,
        }],
        finalized_features_epoch: 0,
        finalized_features: vec![FinalizedFeatureKey {
            name,
            max_version_level: METADATA_VERSION,
            min_version_level: METADATA_VERSION,
        }],
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
        min_version: api.versions.min,
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
