//! Kafka's message definitions, read and checked.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// A range of versions, both ends included; empty when `min > max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) min: i16,
    pub(super) max: i16,
}

impl Versions {
    pub(super) const ALL: Self = Self { min: 0, max: i16::MAX };
    pub(super) const NONE: Self = Self { min: 0, max: -1 };

    pub(super) fn is_empty(self) -> bool {
        self.min > self.max
    }

    pub(super) fn and(self, other: Self) -> Self {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        if both.is_empty() { Self::NONE } else { both }
    }

    pub(super) fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// `none`, `3`, `3+` or `3-7`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.parse::<i16>().map_err(|error| format!("version '{text}': {error}"));
        if text == "none" {
            return Ok(Self::NONE);
        }
        if let Some(min) = text.strip_suffix('+') {
            return Ok(Self { min: number(min)?, max: i16::MAX });
        }
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        Ok(Self { min: number(min)?, max: number(max)? })
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { min, max } if min == max => write!(formatter, "{min}"),
            Self { min, max } => write!(formatter, "{min} to {max}"),
        }
    }
}

/// Whether a message is asked, answered, or precedes either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    Header,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) api_key: Option<i16>,
    pub(super) valid_versions: Versions,
    pub(super) flexible_versions: Versions,
    pub(super) latest_version_unstable: bool,
    /// The message itself first, then every structure inside it, in order of appearance.
    pub(super) structs: Vec<Struct>,
}

impl Message {
    /// Drops the versions outside `versions`, and what only they have.
    pub(super) fn restrict(&mut self, versions: Versions) {
        self.valid_versions = self.valid_versions.and(versions);
        for structure in &mut self.structs {
            structure.versions = structure.versions.and(versions);
            for field in &mut structure.fields {
                field.restrict(versions);
            }
            structure.fields.retain(|field| !field.versions.is_empty());
        }
        self.structs.retain(|structure| !structure.versions.is_empty());
    }

    pub(super) fn structure(&self, name: &str) -> Result<&Struct, String> {
        let found = self.structs.iter().find(|structure| structure.name == name);
        found.ok_or_else(|| format!("{}: no structure {name}", self.name))
    }
}

/// A message or a structure inside one.
#[derive(Debug)]
pub(super) struct Struct {
    pub(super) name: String,
    pub(super) about: String,
    /// The versions in which it can appear.
    pub(super) versions: Versions,
    pub(super) fields: Vec<Field>,
}

/// One field of a structure.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) kind: Type,
    pub(super) versions: Versions,
    pub(super) nullable_versions: Versions,
    /// Only where it differs from the message's.
    pub(super) flexible_versions: Option<Versions>,
    pub(super) tag: Option<u32>,
    pub(super) default: Option<String>,
    pub(super) ignorable: bool,
}

impl Field {
    pub(super) fn is_nullable(&self) -> bool {
        !self.nullable_versions.is_empty()
    }

    fn restrict(&mut self, versions: Versions) {
        self.versions = self.versions.and(versions);
        self.nullable_versions = self.nullable_versions.and(self.versions);
    }
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    /// `i8`, `i16`, `u16`, `i32`, `u32` or `i64`.
    Integer(&'static str),
    /// An `int16` that holds one of Kafka's error codes.
    ErrorCode,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str, field: &str) -> Result<Self, String> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Self::Array(Box::new(Self::parse(element, "")?)));
        }
        Ok(match text {
            "bool" => Self::Bool,
            "int8" => Self::Integer("i8"),
            "int16" if field.ends_with("ErrorCode") => Self::ErrorCode,
            "int16" => Self::Integer("i16"),
            "uint16" => Self::Integer("u16"),
            "int32" => Self::Integer("i32"),
            "uint32" => Self::Integer("u32"),
            "int64" => Self::Integer("i64"),
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(|first: char| first.is_ascii_uppercase()) => {
                Self::Struct(name.to_owned())
            }
            _ => return Err(format!("unknown type '{text}'")),
        })
    }

    /// The structure that this is, or is an array of.
    fn structure(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.structure(),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMessage {
    api_key: Option<i16>,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    valid_versions: String,
    flexible_versions: String,
    #[serde(default)]
    latest_version_unstable: bool,
    #[serde(default, rename = "listeners")]
    _listeners: Vec<String>,
    fields: Vec<RawField>,
    #[serde(default)]
    common_structs: Vec<RawStruct>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawStruct {
    name: String,
    versions: String,
    fields: Vec<RawField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    versions: String,
    nullable_versions: Option<String>,
    flexible_versions: Option<String>,
    tag: Option<u32>,
    tagged_versions: Option<String>,
    default: Option<Value>,
    #[serde(default)]
    ignorable: bool,
    #[serde(default, rename = "mapKey")]
    _map_key: bool,
    #[serde(rename = "entityType")]
    _entity_type: Option<String>,
    #[serde(default)]
    about: String,
    #[serde(default)]
    fields: Vec<RawField>,
}

/// The message of that name.
pub(super) fn read(definitions: &Path, name: &str) -> Result<Message, String> {
    let raw: RawMessage = serde_json::from_value(read_json(definitions, name)?)
        .map_err(|error| format!("{name}.json: {error}"))?;
    message(raw).map_err(|error| format!("{name}.json: {error}"))
}

/// The key and name of every API of the release, ascending.
pub(super) fn read_api_names(definitions: &Path) -> Result<Vec<(i64, String)>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", definitions.display());
    let mut apis = Vec::new();
    for entry in fs::read_dir(definitions).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix("Request.json") else { continue };
        let json = read_json(definitions, &format!("{name}Request"))?;
        let key = json["apiKey"].as_i64().ok_or_else(|| format!("{file}: no apiKey"))?;
        apis.push((key, name.to_owned()));
    }
    apis.sort();
    Ok(apis)
}

fn read_json(definitions: &Path, name: &str) -> Result<Value, String> {
    let path = definitions.join(format!("{name}.json"));
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&without_comments(&text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// JSON without the comments that Kafka allows in it: from `//` outside a string to the line's end.
pub(super) fn without_comments(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut in_string, mut escaped) = (false, false);
        let mut end = line.len();
        for (index, character) in line.char_indices() {
            match character {
                _ if escaped => escaped = false,
                '\\' if in_string => escaped = true,
                '"' => in_string = !in_string,
                '/' if !in_string && line[index..].starts_with("//") => {
                    end = index;
                    break;
                }
                _ => {}
            }
        }
        json.push_str(&line[..end]);
        json.push('\n');
    }
    json
}

/// The message of a definition's text.
#[cfg(test)]
pub(super) fn parse(text: &str) -> Result<Message, String> {
    let raw: RawMessage =
        serde_json::from_str(&without_comments(text)).map_err(|error| error.to_string())?;
    message(raw)
}

fn message(raw: RawMessage) -> Result<Message, String> {
    let valid_versions = Versions::parse(&raw.valid_versions)?;
    let kind = match raw.kind.as_str() {
        "request" => Kind::Request,
        "response" => Kind::Response,
        "header" => Kind::Header,
        kind => return Err(format!("unknown kind '{kind}'")),
    };
    let mut structs = Vec::new();
    let about = String::new();
    add_struct(&raw.name, about, valid_versions, raw.fields, &mut structs)?;
    for common in raw.common_structs {
        let versions = valid_versions.and(Versions::parse(&common.versions)?);
        add_struct(&common.name, String::new(), versions, common.fields, &mut structs)?;
    }
    let message = Message {
        kind,
        api_key: raw.api_key,
        valid_versions,
        flexible_versions: Versions::parse(&raw.flexible_versions)?,
        latest_version_unstable: raw.latest_version_unstable,
        structs,
        name: raw.name,
    };
    for field in message.structs.iter().flat_map(|structure| &structure.fields) {
        if let Some(structure) = field.kind.structure() {
            message.structure(structure)?;
        }
    }
    Ok(message)
}

/// Adds a structure and then those that are declared inside it.
fn add_struct(
    name: &str,
    about: String,
    versions: Versions,
    raw_fields: Vec<RawField>,
    structs: &mut Vec<Struct>,
) -> Result<(), String> {
    if structs.iter().any(|other| other.name == name) {
        return Err(format!("two structures are named {name}"));
    }
    let place = structs.len();
    structs.push(Struct { name: name.to_owned(), about, versions, fields: Vec::new() });
    for mut raw in raw_fields {
        let inner = std::mem::take(&mut raw.fields);
        let field = field(raw, versions).map_err(|error| format!("{name}: {error}"))?;
        if field.versions.is_empty() {
            continue;
        }
        if let (Some(structure), false) = (field.kind.structure(), inner.is_empty()) {
            add_struct(structure, field.about.clone(), field.versions, inner, structs)?;
        }
        structs[place].fields.push(field);
    }
    Ok(())
}

fn field(raw: RawField, struct_versions: Versions) -> Result<Field, String> {
    let name = raw.name;
    let failed = |error: String| format!("{name}: {error}");
    let versions = Versions::parse(&raw.versions).map_err(failed)?.and(struct_versions);
    let parse_optional = |text: Option<String>| text.map(|text| Versions::parse(&text)).transpose();
    let nullable = parse_optional(raw.nullable_versions).map_err(failed)?;
    let tagged = parse_optional(raw.tagged_versions).map_err(failed)?;
    if raw.tag.is_some() && tagged.map(|tagged| tagged.and(versions)) != Some(versions) {
        return Err(failed("tagged in some versions and not in others".to_owned()));
    }
    let kind = Type::parse(&raw.kind, &name).map_err(failed)?;
    if raw.tag.is_some() && matches!(kind, Type::Struct(_)) && nullable.is_some() {
        return Err(failed("a tagged structure that can be null".to_owned()));
    }
    Ok(Field {
        about: raw.about,
        kind,
        versions,
        nullable_versions: nullable.map_or(Versions::NONE, |nullable| nullable.and(versions)),
        flexible_versions: parse_optional(raw.flexible_versions).map_err(failed)?,
        tag: raw.tag,
        default: raw.default.map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        }),
        ignorable: raw.ignorable,
        name,
    })
}
