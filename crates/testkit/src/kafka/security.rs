//! Users, ACLs and certificates of a test cluster.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::layout::NodeLayout;
use super::options::{KafkaOptions, Listener};

const MECHANISMS: &str = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512";

/// Where the certificates of a cluster with a TLS listener are, all PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The authority that clients trust.
    pub authority: PathBuf,
    /// A client's certificate, `CN=client`.
    pub client_certificate: PathBuf,
    /// Its key (PKCS #8).
    pub client_key: PathBuf,
    /// Key and certificate of the brokers, for `localhost` and `127.0.0.1`, in one file as Kafka
    /// wants it.
    broker: PathBuf,
}

impl TlsFiles {
    /// Those of the cluster in this directory.
    pub(super) fn of(root: &Path) -> TlsFiles {
        TlsFiles {
            authority: root.join("tls/authority.pem"),
            client_certificate: root.join("tls/client.pem"),
            client_key: root.join("tls/client.key"),
            broker: root.join("tls/broker.pem"),
        }
    }

    /// Makes an authority and certificates.
    pub(super) fn write(root: &Path) -> io::Result<TlsFiles> {
        let files = TlsFiles::of(root);
        fs::create_dir_all(root.join("tls"))?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let authority = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        fs::write(&files.authority, authority.pem())?;
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let (broker, key) = certificate(&authority, "broker", names.to_vec())?;
        fs::write(&files.broker, key + &broker)?;
        let (client, key) = certificate(&authority, "client", Vec::new())?;
        fs::write(&files.client_certificate, client)?;
        fs::write(&files.client_key, key)?;
        Ok(files)
    }
}

/// A certificate and its key, PEM.
fn certificate(
    authority: &CertifiedIssuer<'_, KeyPair>,
    common_name: &str,
    names: Vec<String>,
) -> io::Result<(String, String)> {
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = params.signed_by(&key, authority).map_err(io::Error::other)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// The settings of a node that have to do with security.
pub(super) fn properties(
    options: &KafkaOptions,
    node: &NodeLayout,
    root: &Path,
) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    if options.authorizer {
        let class = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
        settings.push(("authorizer.class.name".to_owned(), class.to_owned()));
        // Brokers and the plain listener.
        settings.push(("super.users".to_owned(), "User:ANONYMOUS".to_owned()));
    }
    for listener in node.listeners.keys() {
        let prefix = format!("listener.name.{}", listener.name().to_lowercase());
        if listener.has_sasl() {
            settings.extend(sasl(options, &prefix));
        }
        if listener.has_tls() {
            settings.extend(tls(options, *listener, &prefix, &TlsFiles::of(root)));
        }
    }
    settings
}

fn sasl(options: &KafkaOptions, prefix: &str) -> Vec<(String, String)> {
    let module = "org.apache.kafka.common.security";
    let users: Vec<String> = options
        .users
        .iter()
        .map(|(name, password)| format!(" user_{name}=\"{password}\""))
        .collect();
    let plain = format!("{module}.plain.PlainLoginModule required{};", users.concat());
    let scram = format!("{module}.scram.ScramLoginModule required;");
    vec![
        (format!("{prefix}.sasl.enabled.mechanisms"), MECHANISMS.to_owned()),
        (format!("{prefix}.plain.sasl.jaas.config"), plain),
        (format!("{prefix}.scram-sha-256.sasl.jaas.config"), scram.clone()),
        (format!("{prefix}.scram-sha-512.sasl.jaas.config"), scram),
    ]
}

fn tls(
    options: &KafkaOptions,
    listener: Listener,
    prefix: &str,
    files: &TlsFiles,
) -> Vec<(String, String)> {
    let client = match (options.client_certificates_required, listener) {
        (true, _) => "required",
        (false, Listener::Tls) => "requested",
        (false, _) => "none",
    };
    [
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.location", files.broker.display().to_string()),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.location", files.authority.display().to_string()),
        ("ssl.client.auth", client.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (format!("{prefix}.{name}"), value))
    .collect()
}

impl KafkaOptions {
    /// What `StorageTool format` is told about users: SCRAM keeps them in the cluster's metadata.
    pub(super) fn scram_users(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        for (name, password) in &self.users {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                arguments.push("--add-scram".to_owned());
                arguments.push(format!("{mechanism}=[name={name},password={password}]"));
            }
        }
        arguments
    }
}
