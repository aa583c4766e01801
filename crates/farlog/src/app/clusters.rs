//! From the settings of a cluster to a handle on it, shared by all links that use it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use farlog_client::options::Security;
use farlog_client::tls::TlsOptionsError;
use farlog_client::{Cluster, ClusterOptions, ConnectError};
use tokio::sync::OnceCell;

use crate::settings::topology::{ClusterSettings, SecuritySettings};

/// One attempt to connect, with its quick retries, lasts no longer than this, so that the reason
/// for waiting is told soon.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// A cluster that is connected to when it is first needed.
#[derive(Debug)]
pub struct SharedCluster {
    alias: String,
    options: ClusterOptions,
    /// The latest secrets; those in `options` are the first.
    security: Mutex<Security>,
    cluster: OnceCell<Cluster>,
}

impl SharedCluster {
    /// Not connected yet.
    pub fn new(alias: &str, options: ClusterOptions) -> Self {
        let security = Mutex::new(options.connection.security.clone());
        Self { alias: alias.to_owned(), options, security, cluster: OnceCell::new() }
    }

    /// What the settings file calls it.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// The handle, after one attempt to connect if nobody has succeeded yet. Two links that need
    /// the same cluster take turns, they do not knock twice.
    pub async fn get(&self) -> Result<Cluster, ConnectError> {
        let connect = || async {
            let mut options = self.options.clone();
            options.connection.security = self.latest_security();
            Cluster::connect(options).await
        };
        let cluster = self.cluster.get_or_try_init(connect).await?;
        // They may have been replaced while we connected.
        cluster.set_security(self.latest_security());
        Ok(cluster.clone())
    }

    /// Has the next connections use other secrets.
    ///
    /// # Errors
    /// If certificates cannot be used; nothing changes then.
    pub fn set_security(&self, settings: &SecuritySettings) -> Result<(), TlsOptionsError> {
        let security = settings.client_security()?;
        *self.security.lock().unwrap_or_else(PoisonError::into_inner) = security;
        if let Some(cluster) = self.cluster.get() {
            cluster.set_security(self.latest_security());
        }
        Ok(())
    }

    /// The secrets of the next connection.
    pub(super) fn latest_security(&self) -> Security {
        self.security.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The client's options for a cluster.
pub fn options(settings: &ClusterSettings) -> Result<ClusterOptions, TlsOptionsError> {
    let mut options = settings.client_options()?;
    options.retry.give_up_after = ATTEMPT_TIMEOUT;
    Ok(options)
}

#[cfg(test)]
mod tests {
    use farlog_client::sasl;

    use super::*;
    use crate::settings::topology::{
        SaslMechanism, SaslSettings, Secret, ServerAddress as Server, TlsSettings,
    };

    fn settings(security: SecuritySettings) -> ClusterSettings {
        ClusterSettings {
            bootstrap_servers: vec![Server { host: "::1".to_owned(), port: 9092 }],
            security,
            client_id: Some("mirror".to_owned()),
            location: None,
            jurisdiction: None,
            embedded: None,
        }
    }

    #[test]
    fn credentials_reach_the_client() {
        let sasl = SaslSettings {
            mechanism: SaslMechanism::ScramSha512,
            username: "farlog".to_owned(),
            password: Secret("s3cret".to_owned()),
        };
        let security = SecuritySettings { tls: None, sasl: Some(sasl) };
        let options = options(&settings(security)).unwrap();
        let sasl = options.connection.security.sasl.unwrap();
        assert_eq!((&*sasl.username, &*sasl.password), ("farlog", "s3cret"));
        assert_eq!(sasl.mechanism, sasl::SaslMechanism::ScramSha512);
        assert_eq!(options.connection.client_id, "mirror");
        assert_eq!(&*options.bootstrap_servers[0].host, "::1");
    }

    #[test]
    fn new_secrets_wait_for_the_connection() {
        let login = |password: &str| SecuritySettings {
            tls: None,
            sasl: Some(SaslSettings {
                mechanism: SaslMechanism::ScramSha512,
                username: "farlog".to_owned(),
                password: Secret(password.to_owned()),
            }),
        };
        let cluster = SharedCluster::new("b", options(&settings(login("first"))).unwrap());
        let password = || cluster.latest_security().sasl.unwrap().password.to_string();
        assert_eq!(password(), "first");
        cluster.set_security(&login("second")).unwrap();
        assert_eq!(password(), "second");
        let tls = TlsSettings { authorities_pem: Some(b"no".to_vec()), ..TlsSettings::default() };
        let bad = SecuritySettings { tls: Some(tls), ..login("third") };
        assert!(cluster.set_security(&bad).is_err());
        assert_eq!(password(), "second", "neither half of it is used");
    }

    #[test]
    fn a_bad_certificate_is_an_error_before_anything_is_contacted() {
        let tls = TlsSettings { authorities_pem: Some(b"no".to_vec()), ..TlsSettings::default() };
        let error = options(&settings(SecuritySettings { tls: Some(tls), sasl: None }));
        assert!(error.is_err());
    }
}
