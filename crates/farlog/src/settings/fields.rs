//! The fields of `farlog.yaml` as a list, read from its schema: for `farlog explain` and for the
//! configuration page.

use serde_json::Value;

/// One field, or one value of a field that has named values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// `links.NAME.source`; `[]` stands for each entry of a list.
    pub path: String,
    /// `text`, `list of texts`, `duration` and so on.
    pub kind: String,
    /// Must be given.
    pub is_required: bool,
    /// What counts where it is not given, as it would be written.
    pub default: Option<String>,
    /// What it means.
    pub description: String,
    /// Why it is refused today, and what works instead.
    pub not_yet: Option<String>,
    /// Its named values.
    pub values: Vec<FieldValue>,
    /// How it is written, for fields with a grammar of their own.
    pub example: Option<String>,
}

/// One named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue {
    /// As it is written.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Why it is refused today, and what works instead.
    pub not_yet: Option<String>,
}

/// Every field of a schema, parents before children.
pub fn fields(schema: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    Lister { schema, fields: &mut fields }.properties(schema, "");
    fields
}

/// The fields that a person may mean: the whole path, its end, or one word of it. Names of
/// clusters, links and families may stand in for `NAME`.
pub fn find<'f>(fields: &'f [Field], asked: &str) -> Vec<&'f Field> {
    let asked: Vec<&str> = asked.split('.').filter(|word| !word.is_empty()).collect();
    let fits = |field: &Field, from_start: bool| {
        let path: Vec<&str> =
            field.path.split('.').map(|word| word.trim_end_matches("[]")).collect();
        let matches = |words: &[&str]| {
            words.iter().zip(&asked).all(|(word, asked)| word == asked || *word == "NAME")
        };
        if from_start {
            path.len() == asked.len() && matches(&path)
        } else {
            path.len() >= asked.len()
                && path.last() == asked.last()
                && matches(&path[path.len() - asked.len()..])
        }
    };
    let whole: Vec<&Field> = fields.iter().filter(|field| fits(field, true)).collect();
    if !whole.is_empty() || asked.is_empty() {
        return whole;
    }
    fields.iter().filter(|field| fits(field, false)).collect()
}

struct Lister<'a> {
    schema: &'a Value,
    fields: &'a mut Vec<Field>,
}

impl<'a> Lister<'a> {
    fn properties(&mut self, schema: &'a Value, path: &str) {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, property) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.field(property, &path, required.contains(&name.as_str()));
        }
    }

    fn field(&mut self, schema: &'a Value, path: &str, is_required: bool) {
        let choices = self.choices(schema);
        let values = choices.iter().filter_map(|choice| {
            Some(FieldValue {
                name: choice.get("const")?.as_str()?.to_owned(),
                description: text(choice, "description").unwrap_or_default(),
                not_yet: text(choice, "x-not-yet"),
            })
        });
        let example = choices.iter().find_map(|choice| choice.get("examples")?.get(0)?.as_str());
        let default = schema.get("default").filter(|default| !default.is_null());
        let default = default.filter(|default| **default != Value::Array(Vec::new()));
        self.fields.push(Field {
            path: path.to_owned(),
            kind: self.kind(&choices),
            is_required,
            default: default.map(|default| match default {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            description: text(schema, "description").unwrap_or_default(),
            not_yet: text(schema, "x-not-yet"),
            values: values.collect(),
            example: example.map(str::to_owned),
        });
        for choice in choices {
            self.children(choice, path);
        }
    }

    fn children(&mut self, schema: &'a Value, path: &str) {
        self.properties(schema, path);
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object())
        {
            for choice in self.choices(values) {
                self.children(choice, &format!("{path}.NAME"));
            }
        }
        if let Some(items) = schema.get("items") {
            for choice in self.choices(items) {
                self.children(choice, &format!("{path}[]"));
            }
        }
    }

    fn choices(&self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            let target = self.schema.get("$defs").and_then(|defs| defs.get(name));
            return target.map(|target| self.choices(target)).unwrap_or_default();
        }
        let several = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        match several {
            Some(several) => several.iter().flat_map(|each| self.choices(each)).collect(),
            None => vec![schema],
        }
    }

    fn kind(&self, choices: &[&'a Value]) -> String {
        let mut kinds: Vec<String> = Vec::new();
        for choice in choices {
            let kind = if choice.get("const").is_some() {
                "one of the values".to_owned()
            } else if let Some(format) = text(choice, "format").filter(|each| !each.contains("int"))
            {
                format
            } else {
                let types = match choice.get("type") {
                    Some(Value::String(one)) => vec![one.as_str()],
                    Some(Value::Array(several)) => {
                        several.iter().filter_map(Value::as_str).collect()
                    }
                    _ => Vec::new(),
                };
                match types.first().copied() {
                    Some("string") => "text".to_owned(),
                    Some("boolean") => "true or false".to_owned(),
                    Some("integer") => number(choice),
                    Some("array") => {
                        let items = choice.get("items").map(|items| self.choices(items));
                        format!("list of {}", plural(&self.kind(&items.unwrap_or_default())))
                    }
                    Some("object") => "mapping".to_owned(),
                    _ => continue,
                }
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.join(" or ")
    }
}

fn number(schema: &Value) -> String {
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) if least == most => format!("{least}"),
        (Some(least), Some(most)) => format!("number, {least} to {most}"),
        _ => "number".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    if kind.ends_with('s') { format!("{kind}es") } else { format!("{kind}s") }
}

fn text(schema: &Value, key: &str) -> Option<String> {
    let text = schema.get(key)?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<&str>>().join(" "))
}

/// The configuration page, as Markdown.
pub fn markdown(schema: &Value) -> String {
    let mut out = String::from(PREFACE);
    let mut section = "";
    let all = fields(schema);
    for field in &all {
        let (first, _) = field.path.split_once('.').unwrap_or((&field.path, ""));
        if field.path == first {
            section = first;
            out.push_str(&format!("\n## {section}\n\n"));
        } else {
            let depth = field.path.matches('.').count();
            let marks = "#".repeat((depth + 1).clamp(3, 4));
            out.push_str(&format!("\n{marks} {}\n\n", field.path));
        }
        debug_assert_eq!(first, section);
        out.push_str(&one(field));
    }
    out
}

const PREFACE: &str = "\
<!-- Made by `farlog schema --markdown`: change the schema, not this page. -->

# farlog.yaml

Every field of Farlog's settings file. `farlog explain FIELD` shows the same on a terminal,
`farlog schema` prints the JSON Schema for editors, `farlog check FILE` reports every mistake at
once.

`NAME` stands for a name that you choose. `${env:NAME}` and `${file:/path}` stand for the value of
an environment variable and the text of a file (without the line end) inside any value; `$${` stands
for `${`. Unknown fields are errors. A field marked *not yet* is known and refused in this release.

A file whose name ends in `.properties` is read as MirrorMaker 2 reads it, and needs none of this.
";

fn one(field: &Field) -> String {
    let mut out = String::new();
    if let Some(today) = &field.not_yet {
        out.push_str(&format!("*Not yet in this release. What works today: {today}.*\n\n"));
    }
    out.push_str(&format!("{}\n\n", field.description));
    let mut facts = vec![field.kind.clone()];
    if field.is_required {
        facts.push("required".to_owned());
    }
    if let Some(default) = &field.default {
        facts.push(format!("default `{default}`"));
    }
    if let Some(example) = &field.example {
        facts.push(format!("for example `{example}`"));
    }
    out.push_str(&format!("Type: {}.\n", facts.join("; ")));
    if !field.values.is_empty() {
        out.push('\n');
    }
    for value in &field.values {
        let not_yet = match &value.not_yet {
            Some(today) => format!(" *Not yet; today: {today}.*"),
            None => String::new(),
        };
        out.push_str(&format!("- `{}`: {}{not_yet}\n", value.name, value.description));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::yaml::model::schema;
    use super::*;

    fn paths(asked: &str) -> Vec<String> {
        let all = fields(&schema());
        find(&all, asked).into_iter().map(|field| field.path.clone()).collect()
    }

    #[test]
    fn fields_are_found_by_path_by_end_and_by_real_names() {
        assert_eq!(paths("links.NAME.source"), ["links.NAME.source"]);
        assert_eq!(paths("links.us-to-eu.source"), ["links.NAME.source"]);
        assert_eq!(paths("rate-limit"), ["links.NAME.rate-limit"]);
        assert_eq!(paths("config-sync.interval"), ["links.NAME.config-sync.interval"]);
        assert_eq!(paths("naming"), ["families.NAME.naming", "links.NAME.naming"]);
        let both = ["families.NAME.groups[].match", "links.NAME.groups.match"];
        assert_eq!(paths("groups.match"), both);
        assert_eq!(paths("banana"), Vec::<String>::new());
        assert_eq!(paths(""), Vec::<String>::new());
    }

    #[test]
    fn every_field_is_described() {
        for field in fields(&schema()) {
            assert!(!field.description.is_empty(), "{}", field.path);
            assert!(!field.kind.is_empty(), "{}", field.path);
            assert!(!field.description.contains('\n'), "{}", field.path);
            for value in &field.values {
                assert!(!value.description.is_empty(), "{} {}", field.path, value.name);
            }
        }
    }

    #[test]
    fn kinds_and_defaults_are_read() {
        let all = fields(&schema());
        let of = |path: &str| find(&all, path)[0].clone();
        assert_eq!(of("links.NAME.naming").default.as_deref(), Some("same"));
        assert_eq!(of("links.NAME.topics").kind, "list of texts");
        assert_eq!(of("clusters.NAME.bootstrap-servers").kind, "list of addresses");
        assert_eq!(of("links.NAME.rate-limit").kind, "rate");
        assert!(of("links.NAME.source").is_required);
        assert!(of("families.NAME.drill").not_yet.is_some());
    }
}
