//! DescribeClientQuotas, versions 0 and 1 (KIP-546).

use farlog_wire::messages::describe_client_quotas_request::{
    ComponentData, DescribeClientQuotasRequest,
};
use farlog_wire::messages::describe_client_quotas_response::{
    DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;
use crate::catalog::Refusal;
use crate::security::quota::{Entity, EntityType};

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

/// How a component is to be matched: this name, the default, any.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

/// What one type of an entity must be.
enum Wanted {
    Name(Option<String>),
    Any,
}

pub(super) async fn handle(
    context: RequestContext,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let components = match components(request.components) {
        Ok(components) => components,
        Err(refusal) => {
            return DescribeClientQuotasResponse {
                error_code: refusal.code,
                error_message: refusal.message,
                entries: None,
                ..DescribeClientQuotasResponse::default()
            };
        }
    };
    let finds = |entity: &Entity| {
        let fits = |(kind, wanted): &(EntityType, Wanted)| {
            entity.get(kind).is_some_and(|name| match wanted {
                Wanted::Name(wanted) => name == wanted,
                Wanted::Any => true,
            })
        };
        components.iter().all(fits) && (!request.strict || entity.len() == components.len())
    };
    let quotas = context.broker.catalog.quotas();
    let found = quotas.iter().filter(|(entity, _)| finds(entity)).map(|(entity, values)| {
        let entity = entity.iter().map(|(kind, name)| EntityData {
            entity_type: kind.name().to_owned(),
            entity_name: name.clone(),
        });
        let values =
            values.iter().map(|(key, &value)| ValueData { key: key.clone(), value }).collect();
        EntryData { entity: entity.collect(), values }
    });
    DescribeClientQuotasResponse {
        entries: Some(found.collect()),
        error_message: None,
        ..DescribeClientQuotasResponse::default()
    }
}

fn components(asked: Vec<ComponentData>) -> Result<Vec<(EntityType, Wanted)>, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::INVALID_REQUEST, message);
    let mut components: Vec<(EntityType, Wanted)> = Vec::new();
    for asked in asked {
        let name = asked.entity_type;
        if name.is_empty() {
            return Err(invalid("Unexpected empty filter component entity type".to_owned()));
        }
        let kind = EntityType::of_name(&name).ok_or_else(|| {
            let message = format!("Custom entity type '{name}' not supported");
            Refusal::new(ErrorCode::UNSUPPORTED_VERSION, message)
        })?;
        let wanted = match (asked.match_type, asked.r#match) {
            (EXACT, Some(name)) => Wanted::Name(Some(name)),
            (DEFAULT, None) => Wanted::Name(None),
            (ANY, None) => Wanted::Any,
            (code, _) => return Err(invalid(format!("Unexpected match type or name: {code}"))),
        };
        if components.iter().any(|(known, _)| *known == kind) {
            return Err(invalid(format!("Duplicate {name} filter component entity type")));
        }
        components.push((kind, wanted));
    }
    let is_address = components.iter().any(|(kind, _)| *kind == EntityType::Ip);
    if is_address && components.len() > 1 {
        let message = "Invalid entity filter component combination, IP filter component should \
                       not be used with user or clientId filter component.";
        return Err(invalid(message.to_owned()));
    }
    Ok(components)
}
