//! Checks a document against the schema of `farlog.yaml`, all of it at once, and turns what is
//! right into values: a wrong part is reported with its place and left out.

use serde_json::{Map, Number, Value};

use super::super::diagnostics::{Report, nearest};
use super::super::values;
use super::document::{Node, NodeKind};

/// A walk over one document.
pub(super) struct Walk<'a> {
    schema: &'a Value,
    report: &'a mut Report,
    /// Keys from the root to where the walk is.
    path: Vec<String>,
}

/// Checks the whole document. The result holds what was right.
pub(super) fn walk(schema: &Value, root: &Node, report: &mut Report) -> Value {
    let mut walk = Walk { schema, report, path: Vec::new() };
    walk.value(schema, root).unwrap_or(Value::Null)
}

/// One choice that a schema leaves.
struct Choice<'s> {
    schema: &'s Value,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Value, node: &Node) -> Option<Value> {
        let choices = self.choices(schema);
        let scalar = matches!(node.kind, NodeKind::Scalar { .. });
        if scalar && self.report.is_refused((Report::MAIN, node.place)) {
            return None; // A reference in it could not be resolved.
        }
        if node.kind == NodeKind::Null {
            return self.nothing(schema, &choices, node);
        }
        let constants: Vec<(&str, &Value)> = choices
            .iter()
            .filter_map(|choice| Some((choice.schema.get("const")?.as_str()?, choice.schema)))
            .collect();
        match &node.kind {
            NodeKind::Scalar { text, .. } if !constants.is_empty() => {
                self.constant(&constants, text, &choices, node)
            }
            NodeKind::Scalar { text, quoted } => {
                let choice = choices.iter().find(|choice| is_scalar(choice.schema));
                match choice {
                    Some(choice) => self.scalar(choice.schema, text, *quoted, node),
                    None => self.mismatch(&choices, node),
                }
            }
            NodeKind::List(items) => {
                match choices.iter().find(|choice| has_type(choice.schema, "array")) {
                    Some(choice) => Some(self.list(choice.schema, items)),
                    None => self.mismatch(&choices, node),
                }
            }
            NodeKind::Map(_) => {
                match choices.iter().find(|choice| has_type(choice.schema, "object")) {
                    Some(choice) => self.map(choice.schema, node),
                    None => self.mismatch(&choices, node),
                }
            }
            NodeKind::Null => None,
        }
    }

    /// Follows references and flattens `anyOf` and `oneOf`.
    fn choices(&self, schema: &'a Value) -> Vec<Choice<'a>> {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            let target = self.schema.get("$defs").and_then(|defs| defs.get(name));
            return target.map(|target| self.choices(target)).unwrap_or_default();
        }
        let several = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        match several {
            Some(several) => several.iter().flat_map(|each| self.choices(each)).collect(),
            None => vec![Choice { schema }],
        }
    }

    fn nothing(&mut self, schema: &Value, choices: &[Choice<'_>], node: &Node) -> Option<Value> {
        if choices.iter().any(|choice| has_type(choice.schema, "null")) {
            return Some(Value::Null);
        }
        if schema.get("default").is_some() || choices.iter().any(|choice| is_map(choice.schema)) {
            return None; // As if the key were not there.
        }
        self.mismatch(choices, node)
    }

    fn mismatch(&mut self, choices: &[Choice<'_>], node: &Node) -> Option<Value> {
        let expected: Vec<String> = choices
            .iter()
            .filter(|choice| !has_type(choice.schema, "null") || !is_only_null(choice.schema))
            .map(|choice| describe(choice.schema))
            .collect();
        let expected = expected.join(" or ");
        let found = match &node.kind {
            NodeKind::Null => "nothing",
            NodeKind::Scalar { .. } => "a single value",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        };
        let name = self.name();
        let error = self
            .report
            .error((Report::MAIN, node.place), format!("{name} must be {expected}, not {found}"));
        if let NodeKind::Scalar { text, .. } = &node.kind
            && choices.iter().any(|choice| has_type(choice.schema, "array"))
            && !text.contains('\n')
        {
            error.hint("write a list: [one, two]");
        }
        None
    }

    fn constant(
        &mut self,
        constants: &[(&str, &Value)],
        text: &str,
        choices: &[Choice<'_>],
        node: &Node,
    ) -> Option<Value> {
        let place = (Report::MAIN, node.place);
        let name = self.name();
        if let Some((_, schema)) = constants.iter().find(|(constant, _)| *constant == text) {
            if let Some(today) = schema.get("x-not-yet").and_then(Value::as_str) {
                self.report
                    .error(place, format!("{name}: `{text}` is not yet in this release"))
                    .hint(format!("what works today: {today}"));
                return None;
            }
            return Some(Value::String(text.to_owned()));
        }
        let words: Vec<String> = constants.iter().map(|(word, _)| format!("`{word}`")).collect();
        let mut allowed = words.join(", ");
        if let Some(other) = choices.iter().find(|choice| has_type(choice.schema, "object")) {
            allowed.push_str(&format!(", or {}", describe(other.schema)));
        }
        let error = self.report.error(place, format!("{name} cannot be `{text}`"));
        error.hint = Some(match nearest(text, constants.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean `{near}`? (one of {allowed})"),
            None => format!("one of {allowed}"),
        });
        None
    }

    fn scalar(&mut self, schema: &Value, text: &str, quoted: bool, node: &Node) -> Option<Value> {
        let place = (Report::MAIN, node.place);
        let complaint = match schema.get("format").and_then(Value::as_str) {
            Some("duration") => values::duration(text).err(),
            Some("bytes") => values::bytes(text, false).err(),
            Some("rate") => values::bytes(text, true).err(),
            Some("instant") => values::instant_unix_ms(text).err(),
            Some("address") => values::server_address(text).err(),
            _ => None,
        };
        if let Some(complaint) = complaint {
            self.report.error(place, complaint);
            return None;
        }
        if has_type(schema, "string") {
            return Some(Value::String(text.to_owned()));
        }
        if has_type(schema, "boolean") {
            return match (text, quoted) {
                ("true", false) => Some(Value::Bool(true)),
                ("false", false) => Some(Value::Bool(false)),
                _ => {
                    let name = self.name();
                    let message = format!("{name} must be true or false, not `{text}`");
                    self.report.error(place, message);
                    None
                }
            };
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(i64::MAX));
        let number = text.parse::<i64>().ok().filter(|number| (least..=most).contains(number));
        match number {
            Some(number) => Some(Value::Number(Number::from(number))),
            None => {
                let range = if least == most {
                    format!("{least}")
                } else if most == i64::MAX {
                    format!("a whole number from {least}")
                } else {
                    format!("a whole number from {least} to {most}")
                };
                let name = self.name();
                self.report.error(place, format!("{name} must be {range}, not `{text}`"));
                None
            }
        }
    }

    fn list(&mut self, schema: &'a Value, items: &[Node]) -> Value {
        let Some(item_schema) = schema.get("items") else {
            return Value::Array(Vec::new());
        };
        let mut values = Vec::new();
        for item in items {
            values.extend(self.value(item_schema, item));
        }
        Value::Array(values)
    }

    fn map(&mut self, schema: &'a Value, node: &Node) -> Option<Value> {
        let NodeKind::Map(entries) = &node.kind else {
            return None;
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        let values_schema = schema.get("additionalProperties").filter(|schema| schema.is_object());
        let mut values = Map::new();
        let mut complete = true;
        for (key, value) in entries {
            let field = properties.and_then(|properties| properties.get(&key.name));
            let Some(field) = field.or(values_schema) else {
                self.unknown(key, properties);
                continue;
            };
            self.path.push(key.name.clone());
            if let Some(today) = field.get("x-not-yet").and_then(Value::as_str) {
                let name = self.name();
                self.report
                    .error((Report::MAIN, key.place), format!("{name} is not yet in this release"))
                    .hint(format!("what works today: {today}"));
                // Read all the same, so that its own mistakes are said too, and then left out.
                self.value(field, value);
            } else if let Some(value) = self.value(field, value) {
                values.insert(key.name.clone(), value);
            }
            self.path.pop();
        }
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let required = required.as_str().unwrap_or_default();
            if node.get(required).is_none_or(|value| value.kind == NodeKind::Null) {
                let name = self.name();
                self.report
                    .error((Report::MAIN, node.place), format!("{name} has no `{required}`"));
            }
            complete &= values.contains_key(required);
        }
        // The root is read even if something is missing, so that the rest is checked.
        (complete || self.path.is_empty()).then_some(Value::Object(values))
    }

    fn unknown(&mut self, key: &super::document::Key, properties: Option<&Map<String, Value>>) {
        let known: Vec<&str> =
            properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let place = (Report::MAIN, key.place);
        let within =
            if self.path.is_empty() { String::new() } else { format!(" in {}", self.name()) };
        let message = format!("unknown field `{}`{within}", key.name);
        let error = self.report.error(place, message);
        error.hint = Some(match nearest(&key.name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the fields are {}", known.join(", ")),
        });
    }

    /// How a person calls the value that the walk is at.
    fn name(&self) -> String {
        if self.path.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{}`", self.path.join("."))
        }
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(schema: &Value, name: &str) -> bool {
    types(schema).contains(&name)
}

fn is_scalar(schema: &Value) -> bool {
    types(schema).iter().any(|name| matches!(*name, "string" | "integer" | "number" | "boolean"))
}

fn is_only_null(schema: &Value) -> bool {
    types(schema) == ["null"]
}

fn is_map(schema: &Value) -> bool {
    schema.get("additionalProperties").is_some_and(Value::is_object)
}

fn describe(schema: &Value) -> String {
    if has_type(schema, "array") {
        return "a list".to_owned();
    }
    if has_type(schema, "object") {
        let required = schema.get("required").and_then(Value::as_array);
        let fields: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        let example = fields.join(": …, ");
        return if fields.is_empty() || is_map(schema) {
            "a mapping".to_owned()
        } else {
            format!("a mapping {{ {example}: … }}")
        };
    }
    if let Some(constant) = schema.get("const").and_then(Value::as_str) {
        return format!("`{constant}`");
    }
    if has_type(schema, "boolean") {
        return "true or false".to_owned();
    }
    if has_type(schema, "string") { "a text".to_owned() } else { "a number".to_owned() }
}
