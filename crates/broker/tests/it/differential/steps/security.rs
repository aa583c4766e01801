//! `login`, `logout`, `allow`, `deny`, `acls`, `remove-acls`, `scram`, `scram-users`, `handshake`
//! and `authenticate`.

use bytes::Bytes;
use farlog_wire::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use farlog_wire::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use farlog_wire::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use farlog_wire::messages::describe_acls_request::DescribeAclsRequest;
use farlog_wire::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};
use farlog_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use farlog_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;

use crate::differential::script::{Args, parse};
use crate::differential::world::{World, show_error};
use crate::peer::{NoAnswer, Peer};

pub(super) const DENY: i8 = 2;
pub(super) const ALLOW: i8 = 3;

const RESOURCES: &[&str] = &["", "any", "topic", "group", "cluster", "txn", "token", "user"];
const PATTERNS: &[&str] = &["", "any", "match", "literal", "prefixed"];
const PERMISSIONS: &[&str] = &["", "any", "deny", "allow"];
const OPERATIONS: &[&str] = &[
    "",
    "any",
    "all",
    "read",
    "write",
    "create",
    "delete",
    "alter",
    "describe",
    "cluster-action",
    "describe-configs",
    "alter-configs",
    "idempotent-write",
];

/// The code of a word, or of a number.
fn code(words: &[&str], word: &str) -> i8 {
    let place = words.iter().position(|known| *known == word);
    place.map_or_else(|| parse(word), |place| i8::try_from(place).expect("a few words"))
}

fn word(words: &[&str], code: i8) -> String {
    let word = usize::try_from(code).ok().and_then(|place| words.get(place));
    word.map_or_else(|| code.to_string(), |word| (*word).to_owned())
}

/// `login alice`: her password is `alice-secret`. `logout`: who may do everything goes on.
pub(super) fn log_in(world: &mut World, args: &Args) -> Result<Vec<String>, NoAnswer> {
    let ways = world.ways;
    world.peer = match args.words() {
        [] => Peer::new(ways.plain),
        [name, ..] => Peer::user(ways.sasl, name, &format!("{name}-secret")),
    };
    Ok(Vec::new())
}

/// `TYPE/NAME`: a name of the case's own, `*`, or with `=` any.
fn resource(world: &World, text: &str) -> (i8, String) {
    let (kind, name) = text.split_once('/').expect("TYPE/NAME");
    (code(RESOURCES, kind), real(world, name))
}

fn real(world: &World, name: &str) -> String {
    match name {
        "*" | "" => name.to_owned(),
        "cluster" => "kafka-cluster".to_owned(),
        name => world.name(name),
    }
}

/// Users have names of the case's own, too, but for alice and bob.
fn principal(world: &World, name: &str) -> String {
    match name {
        "alice" | "bob" | "*" => format!("User:{name}"),
        name => name
            .strip_prefix('=')
            .map_or_else(|| format!("User:{}", world.name(name)), str::to_owned),
    }
}

fn show_principal(world: &World, principal: &str) -> String {
    let name = principal.strip_prefix("User:").unwrap_or(principal);
    match name {
        "alice" | "bob" | "*" => name.to_owned(),
        name => world.alias(name),
    }
}

/// `allow WHO OPERATION TYPE/NAME`, `deny …`: `host= pattern=`.
pub(super) async fn create(
    world: &mut World,
    args: &Args,
    version: i16,
    permission_type: i8,
) -> Result<Vec<String>, NoAnswer> {
    let (resource_type, resource_name) = resource(world, args.word(2));
    let creation = AclCreation {
        resource_type,
        resource_name,
        resource_pattern_type: code(PATTERNS, args.option("pattern").unwrap_or("literal")),
        principal: principal(world, args.word(0)),
        host: args.option("host").unwrap_or("*").to_owned(),
        operation: code(OPERATIONS, args.word(1)),
        permission_type: args.number("permission", permission_type),
    };
    let request = CreateAclsRequest { creations: vec![creation] };
    let response = world.peer.call(&request, version).await?;
    in_force(world).await;
    let results = response.results.iter();
    Ok(results.map(|result| show_error(result.error_code)).collect())
}

/// Kafka's authorizer learns of a change after its topics: the second barrier is made when the
/// first is through.
async fn in_force(world: &mut World) {
    world.barrier().await;
    world.barrier().await;
}

struct Filter {
    resource: i8,
    name: Option<String>,
    pattern: i8,
    principal: Option<String>,
    host: Option<String>,
    operation: i8,
    permission: i8,
}

/// `TYPE/NAME` (`TYPE/` for any name) `pattern= principal= host= operation= permission=`.
fn filter(world: &World, args: &Args) -> Filter {
    let (resource, name) = resource(world, args.word(0));
    Filter {
        resource,
        name: (!name.is_empty()).then_some(name),
        pattern: code(PATTERNS, args.option("pattern").unwrap_or("any")),
        principal: args.option("principal").map(|name| principal(world, name)),
        host: args.option("host").map(str::to_owned),
        operation: code(OPERATIONS, args.option("operation").unwrap_or("any")),
        permission: code(PERMISSIONS, args.option("permission").unwrap_or("any")),
    }
}

fn show_resource(world: &World, kind: i8, name: &str, pattern: i8) -> String {
    let name = if name == "*" { "*".to_owned() } else { world.alias(name) };
    format!("{}/{name} {}", word(RESOURCES, kind), word(PATTERNS, pattern))
}

fn show_entry(world: &World, (who, host): (&str, &str), operation: i8, permission: i8) -> String {
    format!(
        "{} {} {} from {host}",
        word(PERMISSIONS, permission),
        show_principal(world, who),
        word(OPERATIONS, operation)
    )
}

/// `acls FILTER`.
pub(super) async fn describe(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let filter = filter(world, args);
    let request = DescribeAclsRequest {
        resource_type_filter: filter.resource,
        resource_name_filter: filter.name,
        pattern_type_filter: filter.pattern,
        principal_filter: filter.principal,
        host_filter: filter.host,
        operation: filter.operation,
        permission_type: filter.permission,
    };
    let response = world.peer.call(&request, version).await?;
    let mut lines = vec![show_error(response.error_code)];
    let mut found = Vec::new();
    for resource in &response.resources {
        let (kind, name) = (resource.resource_type, &resource.resource_name);
        let shown = show_resource(world, kind, name, resource.pattern_type);
        for acl in &resource.acls {
            let who = (acl.principal.as_str(), acl.host.as_str());
            let entry = show_entry(world, who, acl.operation, acl.permission_type);
            found.push(format!("  {shown} {entry}"));
        }
    }
    found.sort();
    lines.extend(found);
    Ok(lines)
}

/// `remove-acls FILTER`.
pub(super) async fn remove(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let filter = filter(world, args);
    let filter = DeleteAclsFilter {
        resource_type_filter: filter.resource,
        resource_name_filter: filter.name,
        pattern_type_filter: filter.pattern,
        principal_filter: filter.principal,
        host_filter: filter.host,
        operation: filter.operation,
        permission_type: filter.permission,
    };
    let request = DeleteAclsRequest { filters: vec![filter] };
    let response = world.peer.call(&request, version).await?;
    in_force(world).await;
    let mut lines = Vec::new();
    for result in &response.filter_results {
        lines.push(show_error(result.error_code));
        let mut found: Vec<String> = result
            .matching_acls
            .iter()
            .map(|acl| {
                let (kind, name) = (acl.resource_type, &acl.resource_name);
                let shown = show_resource(world, kind, name, acl.pattern_type);
                let who = (acl.principal.as_str(), acl.host.as_str());
                let entry = show_entry(world, who, acl.operation, acl.permission_type);
                format!("  {} {shown} {entry}", show_error(acl.error_code))
            })
            .collect();
        found.sort();
        lines.extend(found);
    }
    Ok(lines)
}

/// `scram set:user:mechanism:iterations delete:user:mechanism`, mechanisms by number.
pub(super) async fn alter_scram(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let mut request = AlterUserScramCredentialsRequest::default();
    let user = |name: &str| if name.is_empty() { String::new() } else { world.name(name) };
    for change in args.words() {
        let parts: Vec<&str> = change.split(':').collect();
        match parts[..] {
            ["set", name, mechanism, iterations] => {
                request.upsertions.push(ScramCredentialUpsertion {
                    name: user(name),
                    mechanism: parse(mechanism),
                    iterations: parse(iterations),
                    salt: Bytes::from_static(b"salt of sixteen."),
                    salted_password: Bytes::from_static(&[7; 32]),
                });
            }
            ["delete", name, mechanism] => request
                .deletions
                .push(ScramCredentialDeletion { name: user(name), mechanism: parse(mechanism) }),
            _ => panic!("no such change: {change}"),
        }
    }
    let mut response = world.peer.call(&request, version).await?;
    in_force(world).await;
    response.results.sort_by(|one, other| one.user.cmp(&other.user));
    let results = response.results.iter();
    let line = |user: &str, code| format!("{} {}", world.alias(user), show_error(code));
    Ok(results.map(|result| line(&result.user, result.error_code)).collect())
}

/// `scram-users NAME…`.
pub(super) async fn describe_scram(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let users = args.words().iter().map(|name| UserName { name: world.name(name) }).collect();
    let request = DescribeUserScramCredentialsRequest { users: Some(users) };
    let mut response = world.peer.call(&request, version).await?;
    let mut lines = vec![show_error(response.error_code)];
    response.results.sort_by(|one, other| one.user.cmp(&other.user));
    for result in &mut response.results {
        result.credential_infos.sort_by_key(|info| info.mechanism);
        let infos = result.credential_infos.iter();
        let infos = infos.map(|info| format!(" {}:{}", info.mechanism, info.iterations));
        let user = world.alias(&result.user);
        let infos: String = infos.collect();
        lines.push(format!("  {user} {}{infos}", show_error(result.error_code)));
    }
    Ok(lines)
}

/// `handshake MECHANISM TOKEN…`: on a connection of its own; `fresh` to a listener with SASL, else
/// as whom one is. In tokens `:` is a zero byte, `^` is a one, and `%` is `=`; after version 0 they
/// are bare.
pub(super) async fn handshake(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let fresh = args.flag("fresh");
    let mut peer = if fresh { Peer::new(world.ways.sasl) } else { world.peer.another() };
    let request = SaslHandshakeRequest { mechanism: args.word(0).to_owned() };
    let response = peer.call(&request, version).await?;
    let mut lines = vec![show_error(response.error_code)];
    for token in args.words()[1..].iter().filter(|word| *word != "fresh") {
        let token = Bytes::from(token.replace(':', "\0").replace('^', "\x01").replace('%', "="));
        if version == 0 {
            let size = u32::try_from(token.len()).expect("a short token");
            let sent = peer.send_bytes(&[&size.to_be_bytes()[..], &token].concat()).await;
            let told = match sent {
                Ok(()) => peer.receive().await,
                Err(no_answer) => Err(no_answer),
            };
            lines.push(told.map_or_else(|why| why.to_string(), |told| format!("{told:?}")));
            continue;
        }
        let request = SaslAuthenticateRequest { auth_bytes: token };
        lines.push(match peer.call(&request, 2).await {
            Ok(told) => show_authenticated(&told),
            Err(why) => why.to_string(),
        });
    }
    Ok(lines)
}

fn show_authenticated(told: &SaslAuthenticateResponse) -> String {
    let lifetime = match told.session_lifetime_ms {
        0 => "0",
        _ => "limited",
    };
    let mut line = format!("{} lifetime={lifetime}", show_error(told.error_code));
    // What is for programs, and not for people.
    let message = told.error_message.as_deref().unwrap_or_default();
    for (what, text) in [("said", &told.auth_bytes[..]), ("message", message.as_bytes())] {
        if text.first() == Some(&b'{') {
            line += &format!(" {what}={}", String::from_utf8_lossy(text));
        }
    }
    line
}

/// `authenticate TOKEN`: without a handshake.
pub(super) async fn authenticate(
    world: &mut World,
    args: &Args,
    version: i16,
) -> Result<Vec<String>, NoAnswer> {
    let fresh = args.flag("fresh");
    let mut peer = if fresh { Peer::new(world.ways.sasl) } else { world.peer.another() };
    let auth_bytes = Bytes::from(args.word(0).replace(':', "\0"));
    let response = peer.call(&SaslAuthenticateRequest { auth_bytes }, version).await?;
    Ok(vec![show_error(response.error_code)])
}
