//! The `clusters` of `farlog.yaml`.

use std::collections::BTreeMap;

use super::super::diagnostics::{Place, Report};
use super::super::properties::Properties;
use super::super::security::{
    ClientProperties, Setting, client_key, client_settings, explain_keys, is_security_key,
};
use super::super::surroundings::Surroundings;
use super::super::topology::ClusterSettings;
use super::super::values;
use super::model::Cluster;
use super::{Document, embedded};

pub(super) fn compile(
    document: &Document,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> BTreeMap<String, ClusterSettings> {
    let mut clusters = BTreeMap::new();
    for (alias, value) in document.entries("clusters") {
        let place = document.key_place(&["clusters", alias]);
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if alias.is_empty() || !alias.chars().all(legal) {
            report
                .error((Report::MAIN, place), format!("`{alias}` cannot be an alias"))
                .hint("letters, digits, `.`, `_` and `-`: it becomes part of topic names");
        }
        if let Some(cluster) = document.parse::<Cluster>(value, report) {
            let compiled = compile_one(document, alias, &cluster, surroundings, report);
            clusters.insert(alias.clone(), compiled);
        }
    }
    embedded::keep_apart(document, &clusters, report);
    clusters
}

fn compile_one(
    document: &Document,
    alias: &str,
    cluster: &Cluster,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> ClusterSettings {
    if let Some(embedded) = &cluster.embedded {
        return embedded::compile(document, alias, cluster, embedded, surroundings, report);
    }
    let mut properties = ClientProperties::new();
    if let Some(path) = &cluster.client_properties {
        let place = document.place(&["clusters", alias, "client-properties"]);
        properties.extend(from_file(path, place, surroundings, report));
    }
    if let Some(credentials) = &cluster.credentials {
        let place = document.place(&["clusters", alias, "credentials"]);
        add_credentials(credentials, place, &mut properties, report);
    }
    let client = client_settings(&properties, surroundings, report);
    let mut bootstrap_servers = Vec::new();
    for address in &cluster.bootstrap_servers {
        // The walk has reported those that are wrong.
        bootstrap_servers.extend(values::server_address(&address.0));
    }
    let refused = document.has(&["clusters", alias, "bootstrap-servers"]);
    if bootstrap_servers.is_empty() {
        bootstrap_servers = client.bootstrap_servers;
        if bootstrap_servers.is_empty() && !refused {
            let place = document.key_place(&["clusters", alias]);
            report
                .error((Report::MAIN, place), format!("cluster {alias} has no brokers"))
                .hint("write bootstrap-servers: [host:9092]");
        }
    }
    ClusterSettings {
        bootstrap_servers,
        security: client.security,
        client_id: client.client_id,
        location: cluster.location.clone(),
        jurisdiction: cluster.jurisdiction.clone(),
        embedded: None,
    }
}

fn from_file(
    path: &str,
    place: Place,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> ClientProperties {
    let bytes = match surroundings.file(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.error((Report::MAIN, place), format!("cannot read {path}: {error}"));
            return ClientProperties::new();
        }
    };
    let text: String = bytes.iter().copied().map(char::from).collect();
    let file = report.add_file(path, &text);
    match Properties::parse(&bytes) {
        Ok(parsed) => {
            let settings = parsed.by_key().into_iter().map(|(key, entry)| {
                let place = (file, entry.key_place);
                (key.to_owned(), Setting { value: entry.value.clone(), place })
            });
            let properties: ClientProperties = settings.collect();
            explain_keys(&properties, report);
            properties
        }
        Err(error) => {
            report.error((file, error.place), error.to_string());
            ClientProperties::new()
        }
    }
}

/// Client properties as a text, or `username:password`.
fn add_credentials(
    credentials: &str,
    place: Place,
    properties: &mut ClientProperties,
    report: &mut Report,
) {
    let place = (Report::MAIN, place);
    let setting = |value: &str| Setting { value: value.to_owned(), place };
    let parsed = Properties::parse(credentials.as_bytes()).unwrap_or_default();
    let known = |key: &str| client_key(key).is_some() || is_security_key(key);
    if parsed.entries.iter().any(|entry| known(&entry.key)) {
        for entry in &parsed.entries {
            if !known(&entry.key) {
                // Its name may be part of a secret: say nothing of it.
                report.warning(place, "`credentials` holds something that is no client property");
            }
            properties.insert(entry.key.clone(), setting(&entry.value));
        }
        return;
    }
    let login = credentials.trim_end().split_once(':');
    let Some((username, password)) = login.filter(|(username, _)| !username.contains('\n')) else {
        report
            .error(place, "`credentials` are neither client properties nor username:password")
            .hint("${file:…} or ${env:…} must hold one of the two");
        return;
    };
    let protocol = properties.get("security.protocol").map(|protocol| protocol.value.as_str());
    if matches!(protocol, None | Some("SSL")) {
        properties.insert("security.protocol".into(), setting("SASL_SSL"));
    } else if protocol == Some("PLAINTEXT") {
        properties.insert("security.protocol".into(), setting("SASL_PLAINTEXT"));
    }
    let mechanism =
        properties.entry("sasl.mechanism".into()).or_insert_with(|| setting("SCRAM-SHA-512"));
    let module = if mechanism.value == "PLAIN" { "PlainLoginModule" } else { "ScramLoginModule" };
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let (username, password) = (quoted(username), quoted(password));
    let jaas = format!("{module} required username={username} password={password};");
    properties.insert("sasl.jaas.config".into(), setting(&jaas));
}
