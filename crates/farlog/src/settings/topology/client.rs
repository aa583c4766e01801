//! A cluster of the topology as options for the client.

use farlog_client::options::Security;
use farlog_client::sasl::{SaslCredentials, SaslMechanism as ClientMechanism};
use farlog_client::tls::{TlsClient, TlsIdentity, TlsOptions, TlsOptionsError};
use farlog_client::{ClusterOptions, ServerAddress};

use super::{ClusterSettings, SaslMechanism, SecuritySettings, TlsSettings};

impl ClusterSettings {
    /// What to add when it cannot be reached; often empty.
    pub fn when_unreachable(&self) -> &'static str {
        match self.embedded {
            Some(_) => "; it is embedded: it serves while `farlog run` does",
            None => "",
        }
    }

    /// Options to connect with; what the settings leave open has the client's defaults.
    ///
    /// Reads the operating system's certificate authorities where none are given.
    ///
    /// # Errors
    /// If a certificate or key cannot be used.
    pub fn client_options(&self) -> Result<ClusterOptions, TlsOptionsError> {
        let servers = self
            .bootstrap_servers
            .iter()
            .map(|address| ServerAddress::new(address.host.as_str(), address.port))
            .collect();
        let mut options = ClusterOptions::new(servers);
        if let Some(client_id) = &self.client_id {
            options.connection.client_id.clone_from(client_id);
        }
        options.connection.security = self.security.client_security()?;
        Ok(options)
    }
}

impl SecuritySettings {
    /// TLS and SASL of new connections.
    ///
    /// Reads the operating system's certificate authorities where none are given.
    ///
    /// # Errors
    /// If a certificate or key cannot be used.
    pub fn client_security(&self) -> Result<Security, TlsOptionsError> {
        let tls = self.tls.as_ref().map(|tls| TlsClient::new(&tls.client_options())).transpose()?;
        let sasl = self.sasl.as_ref().map(|sasl| SaslCredentials {
            mechanism: match sasl.mechanism {
                SaslMechanism::Plain => ClientMechanism::Plain,
                SaslMechanism::ScramSha256 => ClientMechanism::ScramSha256,
                SaslMechanism::ScramSha512 => ClientMechanism::ScramSha512,
            },
            username: sasl.username.as_str().into(),
            password: sasl.password.0.as_str().into(),
        });
        Ok(Security { tls, sasl })
    }
}

impl TlsSettings {
    fn client_options(&self) -> TlsOptions {
        TlsOptions {
            authorities_pem: self.authorities_pem.clone(),
            identity: self.identity.as_ref().map(|identity| TlsIdentity {
                certificates_pem: identity.certificates_pem.clone(),
                key_pem: identity.key_pem.clone(),
            }),
            any_host_name: self.any_host_name,
        }
    }

    /// Whether certificates and key can be used at all, without looking at the operating system's
    /// authorities.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self) -> Result<(), TlsOptionsError> {
        let mut options = self.client_options();
        let Some(identity) = &options.identity else {
            return match options.authorities_pem {
                Some(_) => TlsClient::new(&options).map(|_| ()),
                None => Ok(()),
            };
        };
        if options.authorities_pem.is_none() {
            // Any certificates do, where only the identity is in question.
            options.authorities_pem = Some(identity.certificates_pem.clone());
        }
        TlsClient::new(&options).map(|_| ())
    }
}
