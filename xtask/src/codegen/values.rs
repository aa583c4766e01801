//! Types, defaults and conditions as Rust expressions.

use super::schema::{Field, Message, Struct, Type, Versions};

/// The Rust type of a field.
pub(super) fn rust_type(field: &Field) -> String {
    let plain = plain_type(&field.kind);
    if is_optional(field) { format!("Option<{plain}>") } else { plain }
}

/// Whether a field is an `Option`.
pub(super) fn is_optional(field: &Field) -> bool {
    field.is_nullable()
}

fn plain_type(kind: &Type) -> String {
    match kind {
        Type::Bool => "bool".to_owned(),
        Type::Integer(name) => (*name).to_owned(),
        Type::ErrorCode => "ErrorCode".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Uuid => "Uuid".to_owned(),
        Type::String => "String".to_owned(),
        Type::Bytes | Type::Records => "Bytes".to_owned(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", plain_type(element)),
    }
}

/// The default of a field, and how it shows.
pub(super) struct DefaultValue {
    /// The value.
    pub(super) expression: String,
    /// Whether `Default::default()` of the Rust type is the same.
    pub(super) is_rust_default: bool,
}

/// The default value of a field: the definition's, or Kafka's for its type.
pub(super) fn default(field: &Field) -> Result<DefaultValue, String> {
    let declared = field.default.as_deref();
    if is_optional(field) && (declared == Some("null") || field.kind == Type::Records) {
        return Ok(DefaultValue { expression: "None".to_owned(), is_rust_default: true });
    }
    let (expression, is_rust_default) =
        plain_default(&field.kind, declared).map_err(|error| format!("{}: {error}", field.name))?;
    Ok(if is_optional(field) {
        DefaultValue { expression: format!("Some({expression})"), is_rust_default: false }
    } else {
        DefaultValue { expression, is_rust_default }
    })
}

fn plain_default(kind: &Type, declared: Option<&str>) -> Result<(String, bool), String> {
    let refused = || format!("default {declared:?} for {kind:?}");
    let expression = match (kind, declared) {
        (Type::Bool, Some(value @ ("true" | "false"))) => value.to_owned(),
        (Type::Bool, None) => "false".to_owned(),
        (Type::Integer(name), Some(value)) => integer(name, value).ok_or_else(refused)?,
        (Type::ErrorCode, None | Some("0")) => "ErrorCode::NONE".to_owned(),
        (Type::Integer(_), None) => "0".to_owned(),
        (Type::Float64, None) => "0.0".to_owned(),
        (Type::Uuid, None) => "Uuid::ZERO".to_owned(),
        (Type::String, None | Some("")) => "String::new()".to_owned(),
        (Type::Bytes | Type::Records, None) => "Bytes::new()".to_owned(),
        (Type::Array(_), None) => "Vec::new()".to_owned(),
        (Type::Struct(name), None) => format!("{name}::default()"),
        _ => return Err(refused()),
    };
    let is_rust_default = !matches!(declared, Some(value) if !matches!(value, "0" | "false" | ""));
    Ok((expression, is_rust_default))
}

/// An integer literal, with the name of the type's bound where it is one.
fn integer(name: &str, text: &str) -> Option<String> {
    let value = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    let (min, max) = match name {
        "i8" => (i64::from(i8::MIN), i64::from(i8::MAX)),
        "i16" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "i32" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        "i64" => (i64::MIN, i64::MAX),
        _ => return None,
    };
    match value {
        value if value < min || value > max => None,
        value if value == min => Some(format!("{name}::MIN")),
        value if value == max => Some(format!("{name}::MAX")),
        value => Some(value.to_string()),
    }
}

/// A condition that is true when `value` (a place expression) is not the field's default.
pub(super) fn is_set(field: &Field, value: &str) -> Result<String, String> {
    let default = default(field)?;
    if is_optional(field) {
        return Ok(match (&field.kind, default.expression.as_str()) {
            (_, "None") => format!("{value}.is_some()"),
            (Type::String, _) => format!("{value}.as_deref() != Some(\"\")"),
            (Type::Array(_) | Type::Bytes, _) => {
                format!("{value}.as_ref().is_none_or(|value| !value.is_empty())")
            }
            _ => format!("{value} != {}", default.expression),
        });
    }
    Ok(match (&field.kind, default.expression.as_str()) {
        (Type::Bool, "false") => value.to_owned(),
        (Type::Bool, _) => format!("!{value}"),
        (Type::String | Type::Array(_) | Type::Bytes | Type::Records, _) => {
            format!("!{value}.is_empty()")
        }
        (_, expression) => format!("{value} != {expression}"),
    })
}

/// When a version of `all` is one of `some`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    Never,
    When(String),
}

impl Condition {
    /// The condition as a Rust expression.
    pub(super) fn expression(&self) -> &str {
        match self {
            Self::Always => "true",
            Self::Never => "false",
            Self::When(expression) => expression,
        }
    }
}

/// The condition on `version` that it is one of `some`, given that it is one of `all`.
pub(super) fn condition(some: Versions, all: Versions) -> Condition {
    let both = some.and(all);
    if both.is_empty() {
        return Condition::Never;
    }
    Condition::When(match (both.min > all.min, both.max < all.max) {
        (false, false) => return Condition::Always,
        (true, false) => format!("version >= {}", both.min),
        (false, true) => format!("version <= {}", both.max),
        (true, true) => format!("({}..={}).contains(&version)", both.min, both.max),
    })
}

/// The least number of bytes that a structure takes on the wire, over all its versions, at least 1.
pub(super) fn struct_bytes_min(message: &Message, structure: &Struct) -> Result<usize, String> {
    let mut least = usize::MAX;
    let versions = structure.versions;
    for version in versions.min..=versions.max {
        let flexible = message.flexible_versions.contains(version);
        let mut bytes = usize::from(flexible);
        for field in &structure.fields {
            if field.versions.contains(version) && field.tag.is_none() {
                bytes += match &field.kind {
                    Type::Struct(_) if field.nullable_versions.contains(version) => 1,
                    kind => bytes_min(message, kind, flexible)?,
                };
            }
        }
        least = least.min(bytes);
    }
    Ok(least.max(1))
}

/// The least number of bytes that a value takes on the wire.
pub(super) fn bytes_min(message: &Message, kind: &Type, flexible: bool) -> Result<usize, String> {
    Ok(match kind {
        Type::Bool | Type::Integer("i8") => 1,
        Type::Integer("i16" | "u16") | Type::ErrorCode => 2,
        Type::Integer("i32" | "u32") => 4,
        Type::Integer(_) | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::String | Type::Bytes | Type::Records | Type::Array(_) if flexible => 1,
        Type::String => 2,
        Type::Bytes | Type::Records | Type::Array(_) => 4,
        Type::Struct(name) => struct_bytes_min(message, message.structure(name)?)?,
    })
}
