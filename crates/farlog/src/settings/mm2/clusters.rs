//! The clusters of a file: how each is reached, whichever of MirrorMaker 2's clients asks.

use std::collections::BTreeMap;

use super::super::diagnostics::Report;
use super::super::security::{
    ClientProperties, client_key, client_settings, explain_keys, is_security_key,
};
use super::super::surroundings::Surroundings;
use super::super::topology::ClusterSettings;
use super::{Mm2File, keys};

const CLIENT_KINDS: [&str; 3] = ["producer", "consumer", "admin"];

pub(super) fn compile(
    file: &Mm2File,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> BTreeMap<String, ClusterSettings> {
    let mut clusters = BTreeMap::new();
    for alias in &file.clusters {
        let properties = client_properties(file, alias, report);
        let client = client_settings(&properties, surroundings, report);
        if !properties.contains_key("bootstrap.servers") {
            let place = file.get("clusters").map(|setting| setting.place);
            report
                .error(place, format!("cluster {alias} has no `bootstrap.servers`"))
                .hint(format!("write `{alias}.bootstrap.servers = host:9092`"));
        }
        clusters.insert(
            alias.clone(),
            ClusterSettings {
                bootstrap_servers: client.bootstrap_servers,
                security: client.security,
                client_id: client.client_id,
                location: None,
                jurisdiction: None,
                embedded: None,
            },
        );
    }
    clusters
}

/// What every client of the cluster is configured with. MirrorMaker 2 has several clients per
/// cluster and may configure each differently; Farlog has one, so they must agree.
fn client_properties(file: &Mm2File, alias: &str, report: &mut Report) -> ClientProperties {
    let mut base = ClientProperties::new();
    let mut by_kind: BTreeMap<&str, ClientProperties> =
        CLIENT_KINDS.iter().map(|kind| (*kind, ClientProperties::new())).collect();
    for (key, setting) in &file.settings {
        let Some((of, rest)) = file.cluster_key(key).filter(|(of, _)| *of == alias) else {
            if is_security_key(key) && file.flow_key(key).is_none() {
                base.entry(key.clone()).or_insert_with(|| setting.clone());
            }
            continue;
        };
        debug_assert_eq!(of, alias);
        let kind = CLIENT_KINDS
            .iter()
            .find_map(|kind| Some((*kind, rest.strip_prefix(kind)?.strip_prefix('.')?)));
        match kind {
            Some((kind, name)) => {
                if let Some(properties) = by_kind.get_mut(kind) {
                    properties.insert(name.to_owned(), setting.clone());
                }
            }
            None => {
                base.insert(rest.to_owned(), setting.clone());
            }
        }
    }
    // Keys of Connect's worker live in the same name space; they are explained elsewhere.
    let client_only: ClientProperties = base
        .iter()
        .filter(|(name, _)| {
            let elsewhere = keys::worker(name).is_some() || keys::connector(name).is_some();
            !elsewhere || client_key(name).is_some()
        })
        .filter(|(name, _)| !is_security_key(name) || file.get(name).is_none())
        .map(|(name, setting)| (name.clone(), setting.clone()))
        .collect();
    explain_keys(&client_only, report);
    for (kind, properties) in &by_kind {
        // The flows from this cluster read these two.
        let read = |name: &str| {
            *kind == "consumer" && matches!(name, "auto.offset.reset" | "isolation.level")
        };
        let others = properties.iter().filter(|(name, _)| !read(name));
        let others = others.map(|(name, setting)| (name.clone(), setting.clone()));
        explain_keys(&others.collect(), report);
    }
    agreed(alias, base, &by_kind, report)
}

/// The base with what all kinds of clients agree on.
fn agreed(
    alias: &str,
    mut base: ClientProperties,
    by_kind: &BTreeMap<&str, ClientProperties>,
    report: &mut Report,
) -> ClientProperties {
    let names = by_kind.values().flat_map(|properties| properties.keys());
    let mut names: Vec<&String> = names.filter(|name| is_security_key(name)).collect();
    names.sort();
    names.dedup();
    for name in names {
        let effective = |kind: &str| {
            let own = by_kind.get(kind).and_then(|properties| properties.get(name));
            own.or_else(|| base.get(name))
        };
        let settings = CLIENT_KINDS.map(effective);
        let given = settings.iter().flatten().next().copied().cloned();
        let Some(given) = given else { continue };
        let differs = |setting: &Option<&_>| {
            !setting.is_some_and(|setting: &super::Setting| setting.value == given.value)
        };
        if settings.iter().any(differs) {
            report
                .error(given.place, format!("the clients of {alias} do not agree on `{name}`"))
                .hint(format!(
                    "Farlog reaches a cluster with one identity: write `{alias}.{name}` once, \
                     without producer., consumer. or admin."
                ));
            continue;
        }
        base.insert(name.clone(), given);
    }
    base
}
