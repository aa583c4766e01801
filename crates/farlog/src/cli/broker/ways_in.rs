//! How clients of `farlog broker` come in: listeners, certificates, users.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use farlog_broker::{
    AuthorizerOptions, ClientCertificates, HostPort, ListenerOptions, SaslMechanism,
    SecurityOptions, SecurityProtocol, TlsServerOptions, TokenOptions, Users,
};

/// Arguments about listeners and who may use them.
#[derive(Debug, Args)]
pub struct WaysIn {
    /// Where to listen: IP:PORT, or PROTOCOL://IP:PORT with plaintext, ssl, sasl_plaintext or
    /// sasl_ssl; port 0 takes any free one. May be repeated.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9092")]
    pub listen: Vec<ListenerOptions>,
    /// What clients are told to connect to: HOST:PORT, or PROTOCOL://HOST:PORT for the listener of
    /// that protocol; the address listened on if not given. May be repeated.
    #[arg(long, value_name = "HOST:PORT", value_parser = advertised)]
    pub advertised: Vec<Advertised>,
    /// The certificate of listeners with TLS, and those between it and its authority: a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Its key: a PEM file, not encrypted.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Ask clients of `ssl` listeners for certificates, signed by these authorities (a PEM file).
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_client_ca: Option<PathBuf>,
    /// Serve clients without a certificate, too, as User:ANONYMOUS.
    #[arg(long, requires = "tls_client_ca")]
    pub tls_client_optional: bool,
    /// Users of listeners with SASL: a file with one NAME=PASSWORD a line. Others are made with
    /// Kafka's tools (kafka-configs, SCRAM).
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Refuse what no access control entry (kafka-acls) allows.
    #[arg(long)]
    pub authorizer: bool,
    /// Who may do everything all the same: User:NAME; may be repeated.
    #[arg(long, value_name = "PRINCIPAL", requires = "authorizer")]
    pub super_user: Vec<String>,
    /// Allow what no entry is about (Kafka's allow.everyone.if.no.acl.found).
    #[arg(long, requires = "authorizer")]
    pub allow_without_acl: bool,
    /// SASL mechanisms to offer, separated by commas; if not given PLAIN, SCRAM-SHA-256 and
    /// SCRAM-SHA-512, and OAUTHBEARER if it is said which tokens are taken.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub sasl_mechanisms: Vec<SaslMechanism>,
}

/// What clients are told, for one listener.
#[derive(Clone, Debug)]
pub struct Advertised {
    /// The listener's protocol; `None` for the only listener.
    pub protocol: Option<SecurityProtocol>,
    /// Where to.
    pub address: HostPort,
}

impl WaysIn {
    /// The first address to listen on.
    pub fn first_address(&self) -> SocketAddr {
        self.listen[0].address
    }

    /// The listeners with what clients are told of each.
    ///
    /// # Errors
    /// If it is not clear which listener an address is for.
    pub fn listeners(&self) -> Result<Vec<ListenerOptions>, String> {
        let mut listeners = self.listen.clone();
        for advertised in &self.advertised {
            let (protocol, HostPort { host, port }) = (advertised.protocol, &advertised.address);
            let mut matching = listeners
                .iter_mut()
                .filter(|listener| protocol.is_none_or(|protocol| listener.protocol == protocol));
            let (Some(listener), None) = (matching.next(), matching.next()) else {
                return Err(format!(
                    "--advertised {host}:{port}: there must be one listener that it is for; say \
                     which, as in sasl_ssl://{host}:{port}"
                ));
            };
            if listener.advertised.replace(advertised.address.clone()).is_some() {
                return Err(format!("--advertised: two addresses for {listener}"));
            }
        }
        Ok(listeners)
    }

    /// Reads the files; `tokens` are those that are taken, if any are.
    ///
    /// # Errors
    /// If one cannot be read, with its name, or if tokens are offered and none are taken.
    pub fn security(&self, tokens: Option<TokenOptions>) -> Result<SecurityOptions, String> {
        let mut security = SecurityOptions::default();
        security.mechanisms.extend(tokens.as_ref().map(|_| SaslMechanism::OauthBearer));
        security.tokens = tokens;
        if !self.sasl_mechanisms.is_empty() {
            security.mechanisms = self.sasl_mechanisms.iter().copied().collect();
        }
        let offers_tokens = security.mechanisms.contains(&SaslMechanism::OauthBearer);
        if offers_tokens && security.tokens.is_none() {
            let why = "--sasl-mechanisms OAUTHBEARER: say with --oauth-jwks which tokens are taken";
            return Err(why.to_owned());
        }
        security.authorizer = self.authorizer.then(|| AuthorizerOptions {
            super_users: self.super_user.iter().cloned().collect(),
            allow_without_acl: self.allow_without_acl,
        });
        if let Some(path) = &self.users {
            let text = String::from_utf8(read(path)?);
            let text = text.map_err(|_| format!("{} is not UTF-8", path.display()))?;
            security.users =
                Users::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        }
        if let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) {
            let clients = match &self.tls_client_ca {
                None => ClientCertificates::Unasked,
                Some(path) if self.tls_client_optional => {
                    ClientCertificates::Requested(read(path)?)
                }
                Some(path) => ClientCertificates::Required(read(path)?),
            };
            let (certificates_pem, key_pem) = (read(certificate)?, read(key)?);
            security.tls = Some(TlsServerOptions { certificates_pem, key_pem, clients });
        }
        Ok(security)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn advertised(text: &str) -> Result<Advertised, String> {
    let (protocol, address) = match text.split_once("://") {
        Some((protocol, address)) => {
            (Some(protocol.parse().map_err(|why| format!("{why}"))?), address)
        }
        None => (None, text),
    };
    Ok(Advertised { protocol, address: host_port(address)? })
}

fn host_port(text: &str) -> Result<HostPort, String> {
    let wrong = || "HOST:PORT, for instance broker.example:9092".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(HostPort { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use farlog_broker::TokenTrust;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ways_in: WaysIn,
    }

    fn listeners(arguments: &[&str]) -> Result<Vec<ListenerOptions>, String> {
        let line = Line::try_parse_from([&["broker"], arguments].concat());
        line.map_err(|error| error.to_string())?.ways_in.listeners()
    }

    #[test]
    fn tokens_are_offered_where_they_are_taken() {
        let offered = |arguments: &[&str], tokens| {
            let line = Line::try_parse_from([&["broker"], arguments].concat()).unwrap();
            Some(line.ways_in.security(tokens).ok()?.mechanisms.len())
        };
        let tokens = || {
            Some(TokenOptions {
                trust: TokenTrust::Unsecured,
                issuer: None,
                audiences: Vec::new(),
                principal_claim: "sub".to_owned(),
            })
        };
        let only = ["--sasl-mechanisms", "OAUTHBEARER"];
        assert_eq!((offered(&[], None), offered(&[], tokens())), (Some(3), Some(4)));
        assert_eq!((offered(&only, None), offered(&only, tokens())), (None, Some(1)));
    }

    #[test]
    fn addresses_find_their_listeners() {
        let two = ["--listen", "0.0.0.0:9092", "--listen", "sasl_ssl://0.0.0.0:9093"];
        let found = listeners(&[&two[..], &["--advertised", "SASL_SSL://a:1"]].concat()).unwrap();
        let told = Some(HostPort { host: "a".to_owned(), port: 1 });
        assert_eq!((&found[0].advertised, &found[1].advertised), (&None, &told));
        assert_eq!(listeners(&["--advertised", "a:1"]).unwrap()[0].advertised, told);
        let unclear = listeners(&[&two[..], &["--advertised", "a:1"]].concat()).unwrap_err();
        assert!(unclear.contains("sasl_ssl://a:1"), "{unclear}");
        assert!(listeners(&["--advertised", "ssl://a:1"]).is_err());
        assert!(listeners(&["--listen", "tls://1.2.3.4:1"]).is_err());
        assert!(listeners(&["--advertised", "a"]).is_err());
    }
}
