//! How a Java client's properties say where a cluster is and how to log in to it.
//!
//! Source: Kafka's `ClientConfigs`, `SslConfigs`, `SaslConfigs` (4.x). Everything that cannot be
//! honoured is refused by name; certificates are read here, so that a wrong path is an error of
//! `farlog check` and not of the first connection.

mod jaas;
mod keys;

use std::collections::BTreeMap;

use super::diagnostics::{FileId, Place, Report, Severity, nearest};
use super::surroundings::Surroundings;
use super::topology::{
    SaslMechanism, SaslSettings, Secret, SecuritySettings, ServerAddress, TlsIdentity, TlsSettings,
};
use super::values;

pub use keys::{ClientKey, client_key, is_security_key};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value as it counts, references to secrets resolved.
    pub value: String,
    /// Where it was written.
    pub place: (FileId, Place),
}

/// Client properties by name.
pub type ClientProperties = BTreeMap<String, Setting>;

/// What client properties say about one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// `bootstrap.servers`; empty where not given or wrong.
    pub bootstrap_servers: Vec<ServerAddress>,
    /// TLS and SASL.
    pub security: SecuritySettings,
    /// `client.id`
    pub client_id: Option<String>,
}

/// Reads the client properties of one cluster.
pub fn client_settings(
    properties: &ClientProperties,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> ClientSettings {
    refuse_plugins(properties, report);
    let mut reader = Reader { properties, surroundings, report };
    let client_id = reader.text("client.id").map(|setting| setting.value.clone());
    ClientSettings {
        bootstrap_servers: reader.bootstrap_servers(),
        security: reader.security(),
        client_id: client_id.filter(|client_id| !client_id.is_empty()),
    }
}

/// Says what became of every key of a Java client file that is not about security.
pub fn explain_keys(properties: &ClientProperties, report: &mut Report) {
    refuse_plugins(properties, report);
    for (name, setting) in properties {
        match client_key(name) {
            Some(ClientKey::Honoured | ClientKey::PlugIn) => {}
            Some(ClientKey::NoEffect) => {
                let message = format!("`{name}` has no effect: Farlog's client tunes itself");
                report.say(Severity::Info, Some(setting.place), message);
            }
            None => {
                let known = keys::all();
                let hint = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
                let warning =
                    report.warning(setting.place, format!("`{name}` is no Kafka client property"));
                warning.hint = hint;
            }
        }
    }
}

/// Java classes that cannot run here.
fn refuse_plugins(properties: &ClientProperties, report: &mut Report) {
    for (name, setting) in properties {
        let value = values::java_trim(&setting.value);
        let harmless = value.is_empty()
            || value == "org.apache.kafka.common.metrics.JmxReporter"
            || value.starts_with("org.apache.kafka.common.serialization.ByteArray")
            || value == "org.apache.kafka.common.security.ssl.DefaultSslEngineFactory";
        if client_key(name) == Some(ClientKey::PlugIn) && !harmless {
            report
                .error(setting.place, format!("`{name}` names a Java class, which cannot run here"))
                .hint(format!("remove `{name}`; if you depend on it, tell us what it does"));
        }
    }
}

/// A login as `sasl.jaas.config` or Farlog's own fields give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

struct Reader<'a> {
    properties: &'a ClientProperties,
    surroundings: &'a dyn Surroundings,
    report: &'a mut Report,
}

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Option<&'a Setting> {
        self.properties.get(name)
    }

    fn bootstrap_servers(&mut self) -> Vec<ServerAddress> {
        let Some(setting) = self.text("bootstrap.servers") else {
            return Vec::new();
        };
        let entries = values::list(&setting.value);
        if entries.is_empty() {
            self.report.error(setting.place, "`bootstrap.servers` is empty");
        }
        let mut addresses = Vec::new();
        for entry in entries {
            match values::server_address(&entry) {
                Ok(address) if addresses.contains(&address) => {}
                Ok(address) => addresses.push(address),
                Err(complaint) => {
                    self.report.error(setting.place, complaint);
                }
            }
        }
        addresses
    }

    fn security(&mut self) -> SecuritySettings {
        let setting = self.text("security.protocol");
        let protocol = setting.map_or("PLAINTEXT", |setting| values::java_trim(&setting.value));
        let (tls, sasl) = match protocol.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => {
                let message = format!("`{protocol}` is no security protocol");
                self.report
                    .error(setting.map(|setting| setting.place), message)
                    .hint("one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL");
                return SecuritySettings::default();
            }
        };
        if !tls {
            self.warn_unused("ssl.", protocol);
        }
        if !sasl {
            self.warn_unused("sasl.", protocol);
        }
        SecuritySettings {
            tls: tls.then(|| self.tls()),
            sasl: if sasl { self.sasl(setting.map(|setting| setting.place)) } else { None },
        }
    }

    fn warn_unused(&mut self, prefix: &str, protocol: &str) {
        let unused = self.properties.iter().find(|(name, _)| name.starts_with(prefix));
        if let Some((name, setting)) = unused {
            let message = format!("`{name}` has no effect with security.protocol={protocol}");
            self.report
                .warning(setting.place, message)
                .hint("security.protocol decides whether TLS and SASL are used");
        }
    }

    fn sasl(&mut self, protocol_place: Option<(FileId, Place)>) -> Option<SaslSettings> {
        let setting = self.text("sasl.mechanism");
        // Java's default mechanism is GSSAPI, which is no better known here than there.
        let name = setting.map_or("GSSAPI", |setting| values::java_trim(&setting.value));
        let mechanism = match name {
            "PLAIN" => Some(SaslMechanism::Plain),
            "SCRAM-SHA-256" => Some(SaslMechanism::ScramSha256),
            "SCRAM-SHA-512" => Some(SaslMechanism::ScramSha512),
            _ => {
                let place = setting.map(|setting| setting.place).or(protocol_place);
                self.report
                    .error(place, format!("the SASL mechanism {name} is not supported"))
                    .hint("PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are (`sasl.mechanism`)");
                None
            }
        };
        let Some(config) = self.text("sasl.jaas.config") else {
            let message = "a SASL login needs a user name and a password";
            self.report.error(protocol_place, message).hint("give them in `sasl.jaas.config`");
            return None;
        };
        let login = match jaas::login(&config.value) {
            Ok(login) => login,
            Err(complaint) => {
                self.report.error(config.place, complaint).hint(
                    "write org.apache.kafka.common.security.scram.ScramLoginModule required \
                     username=\"…\" password=\"…\";",
                );
                return None;
            }
        };
        let mechanism = mechanism?;
        if login.is_scram == (mechanism == SaslMechanism::Plain) {
            let message =
                format!("the login module of `sasl.jaas.config` is not the one of {name}");
            self.report.error(config.place, message);
        }
        Some(SaslSettings {
            mechanism,
            username: login.login.username,
            password: login.login.password,
        })
    }

    fn tls(&mut self) -> TlsSettings {
        let algorithm = self.text("ssl.endpoint.identification.algorithm");
        let tls = TlsSettings {
            authorities_pem: self.authorities(),
            identity: self.identity(),
            any_host_name: algorithm.is_some_and(|setting| setting.value.trim().is_empty()),
        };
        if let Err(error) = tls.verify() {
            let names = [
                "ssl.truststore.location",
                "ssl.truststore.certificates",
                "ssl.keystore.location",
                "ssl.keystore.key",
            ];
            let place = names.iter().find_map(|name| self.text(name)).map(|setting| setting.place);
            self.report.error(place, error.to_string());
        }
        tls
    }

    fn authorities(&mut self) -> Option<Vec<u8>> {
        if let Some(inline) = self.text("ssl.truststore.certificates") {
            return self.pem(inline, rewrapped(&inline.value), "CERTIFICATE");
        }
        let location = self.text("ssl.truststore.location")?;
        self.store("ssl.truststore", location, &["CERTIFICATE"])
    }

    fn identity(&mut self) -> Option<TlsIdentity> {
        if let Some(password) = self.text("ssl.key.password").filter(|set| !set.value.is_empty()) {
            self.report
                .error(password.place, "encrypted private keys are not supported")
                .hint("decrypt it: openssl pkey -in key.pem -out key-plain.pem");
        }
        let chain = self.text("ssl.keystore.certificate.chain");
        let key = self.text("ssl.keystore.key");
        match (chain, key) {
            (Some(chain), Some(key)) => {
                let certificates_pem = self.pem(chain, rewrapped(&chain.value), "CERTIFICATE")?;
                let key_pem = self.pem(key, rewrapped(&key.value), "PRIVATE KEY")?;
                Some(TlsIdentity { certificates_pem, key_pem })
            }
            (Some(one), None) | (None, Some(one)) => {
                self.report.error(
                    one.place,
                    "`ssl.keystore.certificate.chain` and `ssl.keystore.key` come together",
                );
                None
            }
            (None, None) => {
                let location = self.text("ssl.keystore.location")?;
                let both = self.store("ssl.keystore", location, &["CERTIFICATE", "PRIVATE KEY"])?;
                Some(TlsIdentity { certificates_pem: both.clone(), key_pem: both })
            }
        }
    }

    /// A key or trust store file: PEM only.
    fn store(&mut self, prefix: &str, location: &Setting, labels: &[&str]) -> Option<Vec<u8>> {
        let kind = self.text(&format!("{prefix}.type"));
        let named = kind.map(|kind| kind.value.trim().to_ascii_uppercase());
        let path = values::java_trim(&location.value);
        let bytes = match self.surroundings.file(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report.error(location.place, format!("cannot read {path}: {error}"));
                return None;
            }
        };
        let starts_as_jks = bytes.starts_with(&[0xFE, 0xED, 0xFE, 0xED]);
        let is_pem = bytes.windows(11).any(|window| window == b"-----BEGIN ");
        if starts_as_jks || !is_pem {
            let kind = named.unwrap_or_else(|| "JKS or PKCS12".to_owned());
            let flags = if labels.len() > 1 { "-nodes" } else { "-nokeys" };
            self.report
                .error(location.place, format!("{path} is a {kind} store; PEM is needed"))
                .hint(format!(
                    "convert it: keytool -importkeystore -srckeystore {path} -destkeystore s.p12 \
                     -deststoretype PKCS12\nthen: openssl pkcs12 -in s.p12 {flags} -out s.pem, \
                     and set {prefix}.location=s.pem, {prefix}.type=PEM"
                ));
            return None;
        }
        for label in labels {
            self.pem(location, bytes.clone(), label)?;
        }
        Some(bytes)
    }

    fn pem(&mut self, setting: &Setting, bytes: Vec<u8>, label: &str) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(&bytes);
        let begins = text.lines().any(|line| {
            line.trim().strip_prefix("-----BEGIN ").is_some_and(|rest| rest.contains(label))
        });
        if !begins {
            self.report.error(setting.place, format!("there is no {label} in PEM here"));
            return None;
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            self.report
                .error(setting.place, "encrypted private keys are not supported")
                .hint("decrypt it: openssl pkey -in key.pem -out key-plain.pem");
            return None;
        }
        Some(bytes)
    }
}

/// Inline PEM with its lines restored: a properties file often has it all in one line, which Java
/// accepts and nobody else does.
fn rewrapped(inline: &str) -> Vec<u8> {
    let mut out = String::new();
    let mut rest = inline;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let parts = after
            .split_once("-----")
            .and_then(|(label, body)| Some((label, body.split_once("-----END ")?)));
        let Some((label, (body, tail))) = parts else { break };
        let lines: Vec<&str> = body.split_whitespace().collect();
        let body = lines.join("\n");
        out.push_str(&format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"));
        rest = tail;
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests;
