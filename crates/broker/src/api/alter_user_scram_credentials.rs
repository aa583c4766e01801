//! AlterUserScramCredentials, version 0 (KIP-554).
//!
//! - All changes of one request are written together; a user who is refused changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::messages::alter_user_scram_credentials_request::AlterUserScramCredentialsRequest;
use farlog_wire::messages::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::catalog::{Refusal, ScramChange};
use crate::security::scram::{ITERATIONS_MAX, ITERATIONS_MIN, ScramCredential, ScramHash};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(super) async fn handle(
    context: RequestContext,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let mut checked: Vec<(String, Result<ScramChange, Refusal>)> = Vec::new();
    for deletion in request.deletions {
        let change = hash_of(&deletion.name, deletion.mechanism).map(|hash| ScramChange {
            user: deletion.name.clone(),
            hash,
            credential: None,
        });
        checked.push((deletion.name, change));
    }
    for upsertion in request.upsertions {
        let change = hash_of(&upsertion.name, upsertion.mechanism).and_then(|hash| {
            let iterations = iterations_of(upsertion.iterations)?;
            let (salt, salted) = (&upsertion.salt, &upsertion.salted_password);
            let credential = ScramCredential::salted(hash, salt, salted, iterations);
            let user = upsertion.name.clone();
            Ok(ScramChange { user, hash, credential: Some(credential) })
        });
        checked.push((upsertion.name, change));
    }
    let mut seen = BTreeSet::new();
    let twice = checked.iter().filter(|(user, _)| !seen.insert(user));
    let twice: BTreeSet<String> = twice.map(|(user, _)| user.clone()).collect();
    let mut refused = BTreeMap::<String, Refusal>::new();
    let mut users = BTreeSet::new();
    let mut changes = Vec::new();
    for (user, change) in checked {
        users.insert(user.clone());
        match change {
            _ if twice.contains(&user) => {
                let message = "A user credential cannot be altered twice in the same request";
                let refusal = Refusal::new(ErrorCode::DUPLICATE_RESOURCE, message);
                refused.insert(user, refusal);
            }
            Ok(change) => changes.push(change),
            Err(refusal) => drop(refused.entry(user).or_insert(refusal)),
        }
    }
    changes.retain(|change| !refused.contains_key(&change.user));
    context.broker.catalog.alter_scram(changes, &mut refused).await;
    let results = users.into_iter().map(|user| {
        let refusal = refused.remove(&user);
        AlterUserScramCredentialsResult {
            user,
            error_code: refusal.as_ref().map_or(ErrorCode::NONE, |refusal| refusal.code),
            error_message: refusal.and_then(|refusal| refusal.message),
        }
    });
    let results = results.collect();
    AlterUserScramCredentialsResponse { results, ..AlterUserScramCredentialsResponse::default() }
}

fn hash_of(user: &str, mechanism: i8) -> Result<ScramHash, Refusal> {
    if user.is_empty() {
        let message = "Username must not be empty";
        return Err(Refusal::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, message));
    }
    ScramHash::of_code(mechanism).ok_or_else(|| {
        Refusal::new(ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")
    })
}

fn iterations_of(iterations: i32) -> Result<u32, Refusal> {
    let refuse = |message: &str| Err(Refusal::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, message));
    match u32::try_from(iterations) {
        Ok(iterations) if iterations > ITERATIONS_MAX => refuse("Too many iterations"),
        Ok(iterations) if iterations >= ITERATIONS_MIN => Ok(iterations),
        _ => refuse("Too few iterations"),
    }
}
