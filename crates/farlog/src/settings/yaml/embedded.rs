//! Clusters of `farlog.yaml` that live inside Farlog.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::super::diagnostics::{Place, Report};
use super::super::surroundings::Surroundings;
use super::super::topology::{ClusterSettings, EmbeddedSettings, ServerAddress};
use super::super::values;
use super::Document;
use super::model::{Cluster, Embedded};

/// Where an embedded cluster listens if its settings do not say.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9092);

/// The settings of an embedded cluster: its address is known before it runs, so that other commands
/// find it.
pub(super) fn compile(
    document: &Document,
    alias: &str,
    cluster: &Cluster,
    embedded: &Embedded,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> ClusterSettings {
    for field in ["bootstrap-servers", "client-properties", "credentials"] {
        if document.has(&["clusters", alias, field]) {
            let place = document.key_place(&["clusters", alias, field]);
            report
                .error((Report::MAIN, place), format!("`{field}` is not for embedded clusters"))
                .hint("leave it out, or leave out `embedded`");
        }
    }
    let place = |field| document.place(&["clusters", alias, "embedded", field]);
    if embedded.data.is_empty() {
        let error = "`data` must name a folder";
        report.error((Report::MAIN, place("data")), error).hint("for instance ./data/lab");
    }
    let listen = match &embedded.listen {
        Some(address) => listen(&address.0, place("listen"), report),
        None => LISTEN,
    };
    let settings = EmbeddedSettings {
        data: surroundings.path(&embedded.data),
        listen,
        // The walk has reported it if it is wrong.
        advertised: embedded.advertised.as_ref().and_then(|it| values::server_address(&it.0).ok()),
        fsync: embedded.fsync.unwrap_or(true),
    };
    ClusterSettings {
        bootstrap_servers: vec![reached_at(listen)],
        location: cluster.location.clone(),
        jurisdiction: cluster.jurisdiction.clone(),
        embedded: Some(settings),
        ..ClusterSettings::default()
    }
}

/// Reports clusters that would be in each other's way.
pub(super) fn keep_apart(
    document: &Document,
    clusters: &BTreeMap<String, ClusterSettings>,
    report: &mut Report,
) {
    let embedded = || {
        let settings =
            |(alias, cluster): (_, &ClusterSettings)| Some((alias, cluster.embedded.clone()?));
        clusters.iter().filter_map(settings)
    };
    for (index, (alias, one)) in embedded().enumerate() {
        for (earlier, other) in embedded().take(index) {
            let place = (Report::MAIN, document.key_place(&["clusters", alias, "embedded"]));
            if one.listen.port() == other.listen.port() {
                let port = one.listen.port();
                report
                    .error(place, format!("{earlier} and {alias} both listen on port {port}"))
                    .hint(format!(
                        "give {alias} a `listen` of its own, as 127.0.0.1:{}",
                        port.saturating_add(1)
                    ));
            }
            if one.data == other.data {
                let data = one.data.display();
                report
                    .error(place, format!("{earlier} and {alias} both keep their data in {data}"))
                    .hint("every embedded cluster needs a folder of its own");
            }
        }
    }
}

/// An address to listen on; the walk has reported what is no address at all.
fn listen(text: &str, place: Place, report: &mut Report) -> SocketAddr {
    let Ok(ServerAddress { host, port }) = values::server_address(text) else { return LISTEN };
    let host = if host == "localhost" { Ok(LISTEN.ip()) } else { host.parse() };
    match host {
        Ok(host) => SocketAddr::new(host, port),
        Err(_) => {
            report
                .error((Report::MAIN, place), format!("`{text}` is no address to listen on"))
                .hint("IP:port; 0.0.0.0:9092 listens on all addresses of this machine");
            LISTEN
        }
    }
}

/// How this machine reaches what listens there.
fn reached_at(listen: SocketAddr) -> ServerAddress {
    let host = match listen {
        SocketAddr::V4(at) if at.ip().is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        SocketAddr::V6(at) if at.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.to_string(),
        _ => listen.ip().to_string(),
    };
    ServerAddress { host, port: listen.port() }
}
