//! `quota` and `quotas`.

use farlog_wire::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use farlog_wire::messages::describe_client_quotas_request::{
    ComponentData, DescribeClientQuotasRequest,
};

use crate::differential::script::{Args, parse};
use crate::differential::world::{World, show_error};
use crate::peer::NoAnswer;

/// `TYPE/NAME`: a name of the case's own, `~` for the default, `@` before an address.
fn part(world: &World, text: &str) -> (String, Option<String>) {
    let (kind, name) = text.split_once('/').expect("TYPE/NAME");
    let name = match name {
        "~" => None,
        "" => Some(String::new()),
        name => Some(match name.strip_prefix('@') {
            Some(address) => address.to_owned(),
            None => world.name(name),
        }),
    };
    (kind.to_owned(), name)
}

/// `quota TYPE/NAME,TYPE/NAME set:key:value remove:key`: `validate`; `none` for no entity.
pub(super) async fn alter(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let parts = args.word(0).split(',').filter(|part| *part != "none");
    let entity = parts.map(|text| {
        let (entity_type, entity_name) = part(world, text);
        EntityData { entity_type, entity_name }
    });
    let ops = args.words()[1..].iter().filter(|word| *word != "validate").map(|word| {
        match word.split(':').collect::<Vec<&str>>()[..] {
            ["set", key, value] => {
                OpData { key: key.to_owned(), value: parse(value), remove: false }
            }
            ["remove", key] => OpData { key: key.to_owned(), value: 0.0, remove: true },
            _ => panic!("no such change: {word}"),
        }
    });
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData { entity: entity.collect(), ops: ops.collect() }],
        validate_only: args.flag("validate"),
    };
    let response = world.peer.call(&request, version).await?;
    world.barrier().await;
    let lines = response.entries.iter().map(|entry| {
        let entity = entry.entity.iter().map(|part| {
            let name = part.entity_name.as_deref().map(|name| world.alias(name));
            format!(" {}/{}", part.entity_type, name.unwrap_or_else(|| "~".to_owned()))
        });
        let mut entity: Vec<String> = entity.collect();
        entity.sort();
        format!("{}{}", show_error(entry.error_code), entity.concat())
    });
    Ok(lines.collect())
}

/// `quotas TYPE/NAME,TYPE/NAME`: `*` for any name; `strict`, `match=` for the code itself.
pub(super) async fn describe(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let components = args.word(0).split(',').map(|text| {
        let (entity_type, name) = match text.strip_suffix("/*") {
            Some(kind) => (kind.to_owned(), Some("*".to_owned())),
            None => part(world, text),
        };
        let (match_type, r#match) = match name.as_deref() {
            None => (1, None),
            Some("*") => (2, None),
            Some(_) => (0, name),
        };
        ComponentData { entity_type, match_type: args.number("match", match_type), r#match }
    });
    let components = components.collect();
    let request = DescribeClientQuotasRequest { components, strict: args.flag("strict") };
    let response = world.peer.call(&request, version).await?;
    let mut lines = vec![show_error(response.error_code)];
    let mut found = Vec::new();
    for entry in response.entries.unwrap_or_default() {
        let mut entity: Vec<String> = Vec::new();
        for part in &entry.entity {
            let name = part.entity_name.as_deref().map(|name| world.alias(name));
            let name = name.unwrap_or_else(|| "~".to_owned());
            entity.push(format!("{}/{name}", part.entity_type));
        }
        let mut values: Vec<String> =
            entry.values.iter().map(|value| format!("{}={}", value.key, value.value)).collect();
        entity.sort();
        values.sort();
        found.push(format!("  {} {}", entity.join(","), values.join(" ")));
    }
    found.sort();
    lines.extend(found);
    Ok(lines)
}
