//! Config providers: `${provider:[path:]key}` in values (KIP-297), with the three providers that
//! Kafka ships.

use std::collections::BTreeMap;

use super::super::diagnostics::{Place, Report};
use super::super::properties::Properties;
use super::super::security::Setting;
use super::super::surroundings::Surroundings;
use super::super::values;

#[derive(Clone, Copy)]
enum Provider {
    File,
    Directory,
    Environment,
}

const CLASSES: [(&str, Provider); 3] = [
    ("org.apache.kafka.common.config.provider.FileConfigProvider", Provider::File),
    ("org.apache.kafka.common.config.provider.DirectoryConfigProvider", Provider::Directory),
    ("org.apache.kafka.common.config.provider.EnvVarConfigProvider", Provider::Environment),
];

/// Resolves every reference in every value.
pub(super) fn expand(
    settings: &mut BTreeMap<String, Setting>,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) {
    let providers = providers(settings, report);
    for (key, setting) in settings.iter_mut() {
        if key.starts_with("config.providers") || !setting.value.contains("${") {
            continue;
        }
        let mut out = String::new();
        let mut rest = setting.value.as_str();
        while let Some((before, reference)) = next_reference(rest) {
            out.push_str(before);
            let written = reference.written;
            match resolve(&reference, &providers, surroundings) {
                Ok(value) => out.push_str(&value),
                Err(complaint) => {
                    report
                        .warning(setting.place, format!("`{written}` stays as it is: {complaint}"));
                    out.push_str(written);
                }
            }
            rest = &rest[before.len() + written.len()..];
        }
        out.push_str(rest);
        setting.value = out;
    }
}

fn providers(
    settings: &BTreeMap<String, Setting>,
    report: &mut Report,
) -> BTreeMap<String, Provider> {
    let mut providers = BTreeMap::new();
    let Some(list) = settings.get("config.providers") else {
        return providers;
    };
    for name in values::list(&list.value) {
        let key = format!("config.providers.{name}.class");
        let Some(class) = settings.get(&key) else {
            report.error(list.place, format!("the config provider {name} has no `{key}`"));
            continue;
        };
        let class_name = values::java_trim(&class.value);
        match CLASSES.iter().find(|(known, _)| *known == class_name) {
            Some((_, provider)) => {
                providers.insert(name, *provider);
            }
            None => {
                report
                    .error(class.place, format!("the config provider {class_name} cannot run here"))
                    .hint(
                        "FileConfigProvider, DirectoryConfigProvider and EnvVarConfigProvider do",
                    );
            }
        }
    }
    providers
}

/// A `${provider:[path:]key}`.
struct Reference<'v> {
    written: &'v str,
    provider: &'v str,
    path: &'v str,
    key: &'v str,
}

/// The text before the next reference, and the reference.
fn next_reference(text: &str) -> Option<(&str, Reference<'_>)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("${")?;
        let end = start + text[start..].find('}')?;
        let inside = &text[start + 2..end];
        if let Some((provider, rest)) = inside.split_once(':') {
            let (path, key) = rest.split_once(':').unwrap_or(("", rest));
            let written = &text[start..=end];
            return Some((&text[..start], Reference { written, provider, path, key }));
        }
        from = start + 2;
    }
}

fn resolve(
    reference: &Reference<'_>,
    providers: &BTreeMap<String, Provider>,
    surroundings: &dyn Surroundings,
) -> Result<String, String> {
    let Reference { provider, path, key, .. } = reference;
    let kind = providers
        .get(*provider)
        .ok_or_else(|| format!("`config.providers` does not name {provider}"))?;
    let read = |path: &str| {
        surroundings.file(path).map_err(|error| format!("cannot read {path}: {error}"))
    };
    match kind {
        Provider::Environment => surroundings
            .variable(key)
            .ok_or_else(|| format!("the environment variable {key} is not set")),
        Provider::Directory => {
            let bytes = read(&format!("{path}/{key}"))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        Provider::File => {
            let parsed = Properties::parse(&read(path)?).map_err(|error| {
                let Place { line, .. } = error.place;
                format!("line {line} of {path}: {error}")
            })?;
            let property = parsed.get(key).ok_or_else(|| format!("{path} has no key {key}"))?;
            Ok(property.value.clone())
        }
    }
}
