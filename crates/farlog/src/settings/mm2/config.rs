//! The config of one flow's connectors: bare defaults under the flow's own keys, read with the
//! types of Kafka's ConfigDef.

use std::collections::BTreeMap;

use super::super::diagnostics::Report;
use super::super::security::Setting;
use super::super::values;
use super::{Mm2File, keys};

/// Connector key to setting.
pub(super) struct ConnectorConfig {
    settings: BTreeMap<String, Setting>,
}

impl ConnectorConfig {
    /// Bare keys that a connector knows, then everything written for the flow.
    pub(super) fn of(file: &Mm2File, source: &str, target: &str) -> ConnectorConfig {
        let mut settings = BTreeMap::new();
        for (key, setting) in &file.settings {
            if keys::connector(key).is_some() {
                settings.insert(key.clone(), setting.clone());
            }
        }
        for (key, setting) in &file.settings {
            if let Some((of_source, of_target, rest)) = file.flow_key(key)
                && (of_source, of_target) == (source, target)
            {
                settings.insert(rest.to_owned(), setting.clone());
            }
        }
        ConnectorConfig { settings }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// A trimmed text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| values::java_trim(&setting.value))
    }

    /// A BOOLEAN; anything but true and false is an error.
    pub(super) fn boolean(&self, key: &str, default: bool, report: &mut Report) -> bool {
        let Some(setting) = self.get(key) else {
            return default;
        };
        values::boolean(&setting.value).unwrap_or_else(|| {
            let message = format!("`{key}` must be true or false, not `{}`", setting.value.trim());
            report.error(setting.place, message);
            default
        })
    }

    /// A number within bounds; anything else is an error.
    pub(super) fn number(
        &self,
        key: &str,
        bounds: std::ops::RangeInclusive<i64>,
        report: &mut Report,
    ) -> Option<i64> {
        let setting = self.get(key)?;
        let number = values::java_trim(&setting.value).parse().ok();
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            let shown = setting.value.trim();
            let message =
                format!("`{key}` must be a whole number from {least} to {most}, not `{shown}`");
            report.error(setting.place, message);
        }
        number
    }

    /// A LIST under its present name or, for 3.x files, its old one.
    pub(super) fn list(&self, key: &str, old_key: &str, default: &[&str]) -> Vec<String> {
        match self.get(key).or_else(|| self.get(old_key)) {
            Some(setting) => values::list(&setting.value),
            None => default.iter().map(|entry| (*entry).to_owned()).collect(),
        }
    }

    /// Where a key was written, under either name.
    pub(super) fn either(&self, key: &str, old_key: &str) -> Option<&Setting> {
        self.get(key).or_else(|| self.get(old_key))
    }
}
