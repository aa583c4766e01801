//! DescribeUserScramCredentials, version 0 (KIP-554).
//!
//! - Users of the file are not told: they are nobody's to alter.

use std::collections::HashSet;

use farlog_wire::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};
use farlog_wire::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let known = context.broker.catalog.scram_users();
    let wanted = request.users.unwrap_or_default();
    let wanted = match wanted.is_empty() {
        true => known.keys().map(|name| UserName { name: name.clone() }).collect(),
        false => wanted,
    };
    let mut seen = HashSet::new();
    let twice: HashSet<String> = wanted
        .iter()
        .filter(|user| !seen.insert(user.name.clone()))
        .map(|user| user.name.clone())
        .collect();
    let mut told = HashSet::new();
    let wanted = wanted.into_iter().filter(|user| told.insert(user.name.clone()));
    let results = wanted.map(|UserName { name }| {
        let result = |error_code, message: &str| DescribeUserScramCredentialsResult {
            user: name.clone(),
            error_code,
            error_message: Some(format!("{message}: {name}")),
            ..DescribeUserScramCredentialsResult::default()
        };
        if twice.contains(&name) {
            let message = "Cannot describe SCRAM credentials for the same user twice in a single \
                           request";
            return result(ErrorCode::DUPLICATE_RESOURCE, message);
        }
        let Some(credentials) = known.get(&name) else {
            let message = "Attempt to describe a user credential that does not exist";
            return result(ErrorCode::RESOURCE_NOT_FOUND, message);
        };
        let infos = credentials.iter().map(|(hash, credential)| CredentialInfo {
            mechanism: hash.code(),
            iterations: i32::try_from(credential.iterations).unwrap_or(i32::MAX),
        });
        DescribeUserScramCredentialsResult {
            credential_infos: infos.collect(),
            user: name,
            error_message: None,
            ..DescribeUserScramCredentialsResult::default()
        }
    });
    let results = results.collect();
    DescribeUserScramCredentialsResponse {
        results,
        error_message: None,
        ..DescribeUserScramCredentialsResponse::default()
    }
}
