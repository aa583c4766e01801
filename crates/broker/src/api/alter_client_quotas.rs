//! AlterClientQuotas, versions 0 and 1 (KIP-546).
//!
//! - `producer_byte_rate` and `consumer_byte_rate` are enforced. `request_percentage`,
//!   `controller_mutation_rate` and, for addresses, `connection_creation_rate` are kept and told,
//!   and not enforced.

use std::collections::BTreeMap;

use farlog_wire::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use farlog_wire::messages::alter_client_quotas_response::{self, AlterClientQuotasResponse};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::catalog::Refusal;
use crate::security::quota::{Entity, EntityType};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

const OF_CLIENTS: &[&str] =
    &["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const OF_ADDRESSES: &[&str] = &["connection_creation_rate"];

/// Quotas that are whole numbers.
const WHOLE: &[&str] = &["producer_byte_rate", "consumer_byte_rate", "connection_creation_rate"];

pub(super) async fn handle(
    context: RequestContext,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let mut entries = Vec::new();
    for EntryData { entity, ops } in request.entries {
        let altered = alter(&context, &entity, &ops, request.validate_only).await;
        let refusal = altered.err();
        let entity = entity.into_iter().map(|part| alter_client_quotas_response::EntityData {
            entity_type: part.entity_type,
            entity_name: part.entity_name,
        });
        entries.push(alter_client_quotas_response::EntryData {
            error_code: refusal.as_ref().map_or(ErrorCode::NONE, |refusal| refusal.code),
            error_message: refusal.and_then(|refusal| refusal.message),
            entity: entity.collect(),
        });
    }
    AlterClientQuotasResponse { entries, ..AlterClientQuotasResponse::default() }
}

async fn alter(
    context: &RequestContext,
    entity: &[EntityData],
    ops: &[OpData],
    validate_only: bool,
) -> Result<(), Refusal> {
    let entity = entity_of(entity)?;
    let known = if entity.contains_key(&EntityType::Ip) { OF_ADDRESSES } else { OF_CLIENTS };
    let mut changes = BTreeMap::new();
    for op in ops {
        let value = (!op.remove).then_some(op.value);
        if let Some(value) = value {
            check(known, &op.key, value)?;
        }
        changes.insert(op.key.clone(), value);
    }
    match validate_only {
        true => Ok(()),
        false => context.broker.catalog.alter_quotas(entity, changes).await,
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::INVALID_REQUEST, message)
}

fn entity_of(parts: &[EntityData]) -> Result<Entity, Refusal> {
    let mut entity = Entity::new();
    for part in parts {
        let kind = EntityType::of_name(&part.entity_type).ok_or_else(|| {
            invalid(format!("Unhandled client quota entity type: {}", part.entity_type))
        })?;
        if part.entity_name.as_deref() == Some("") {
            return Err(invalid(format!("Empty {} not supported", part.entity_type)));
        }
        if entity.insert(kind, part.entity_name.clone()).is_some() {
            return Err(invalid("Invalid client quota entity, contains duplicate entries"));
        }
    }
    if entity.is_empty() {
        return Err(invalid("Invalid empty client quota entity"));
    }
    if entity.contains_key(&EntityType::Ip) && entity.len() > 1 {
        let message = "Invalid quota entity combination, IP entity should not be combined with \
                       user or clientId";
        return Err(invalid(message));
    }
    Ok(entity)
}

fn check(known: &[&str], key: &str, value: f64) -> Result<(), Refusal> {
    if !known.contains(&key) {
        return Err(invalid(format!("Invalid configuration key {key}")));
    }
    if value.is_nan() || value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    if WHOLE.contains(&key) && value.fract() > 1e-6 {
        return Err(invalid(format!("{key} must be a whole number")));
    }
    Ok(())
}
