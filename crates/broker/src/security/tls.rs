//! TLS towards clients: rustls with aws-lc-rs, certificates as PEM.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::{Principal, subject};

/// Certificates of the broker, as PEM texts. Its `Debug` never shows the key.
#[derive(Clone)]
pub struct TlsServerOptions {
    /// Certificate chain, leaf first.
    pub certificates_pem: Vec<u8>,
    /// Private key in PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key_pem: Vec<u8>,
    /// Whether clients of listeners without SASL are asked for certificates.
    pub clients: ClientCertificates,
}

/// `ssl.client.auth`, with the authorities that sign clients' certificates as PEM.
#[derive(Clone)]
pub enum ClientCertificates {
    /// Clients are not asked.
    Unasked,
    /// Who brings none is `User:ANONYMOUS`.
    Requested(Vec<u8>),
    /// Who brings none is refused.
    Required(Vec<u8>),
}

/// Why TLS cannot be set up as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsServerError {
    /// A PEM text that cannot be read, or without what it should hold.
    #[error("the {what} is not PEM: {why}")]
    Pem {
        /// Which text.
        what: &'static str,
        /// What the parser said.
        why: String,
    },
    /// rustls refuses a certificate or key.
    #[error("the {what} cannot be used: {why}")]
    Refused {
        /// Which text.
        what: &'static str,
        /// What rustls said.
        why: String,
    },
}

/// Ready-made TLS settings; cheap to clone.
#[derive(Clone)]
pub(crate) struct TlsServer {
    asking: Arc<ServerConfig>,
    unasking: Arc<ServerConfig>,
}

impl fmt::Debug for TlsServerOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TlsServerOptions").field("clients", &self.clients).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unasked => "Unasked",
            Self::Requested(_) => "Requested",
            Self::Required(_) => "Required",
        })
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

impl TlsServer {
    /// Reads the PEM texts, once for all connections.
    pub(crate) fn new(options: &TlsServerOptions) -> Result<Self, TlsServerError> {
        let unasking = config(options, &ClientCertificates::Unasked)?;
        let asking = match &options.clients {
            ClientCertificates::Unasked => Arc::clone(&unasking),
            clients => config(options, clients)?,
        };
        Ok(Self { asking, unasking })
    }

    /// What takes connections; with SASL clients are not asked for certificates, as in Kafka.
    pub(crate) fn acceptor(&self, has_sasl: bool) -> TlsAcceptor {
        let config = if has_sasl { &self.unasking } else { &self.asking };
        TlsAcceptor::from(Arc::clone(config))
    }
}

/// Who a client is by its certificate, which rustls has verified.
pub(crate) fn principal_of(certificate: Option<&CertificateDer<'_>>) -> Option<Principal> {
    let Some(certificate) = certificate else { return Some(Principal::anonymous()) };
    subject::of(certificate).map(|subject| Principal::user(&subject))
}

fn config(
    options: &TlsServerOptions,
    clients: &ClientCertificates,
) -> Result<Arc<ServerConfig>, TlsServerError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let refused =
        |what, why: &dyn fmt::Display| TlsServerError::Refused { what, why: why.to_string() };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused("set of TLS versions", &error))?;
    let authority = "clients' authority";
    let verifier = |pem: &[u8]| {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority, pem)? {
            roots.add(certificate).map_err(|error| refused(authority, &error))?;
        }
        Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()))
    };
    let built = |error: rustls::server::VerifierBuilderError| refused(authority, &error);
    let builder = match clients {
        ClientCertificates::Unasked => builder.with_no_client_auth(),
        ClientCertificates::Requested(pem) => {
            let verifier = verifier(pem)?.allow_unauthenticated().build().map_err(built)?;
            builder.with_client_cert_verifier(verifier)
        }
        ClientCertificates::Required(pem) => {
            builder.with_client_cert_verifier(verifier(pem)?.build().map_err(built)?)
        }
    };
    let chain = certificates("certificate", &options.certificates_pem)?;
    let key = PrivateKeyDer::from_pem_slice(&options.key_pem)
        .map_err(|error| TlsServerError::Pem { what: "key", why: error.to_string() })?;
    let config = builder.with_single_cert(chain, key);
    config.map(Arc::new).map_err(|error| refused("certificate or key", &error))
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsServerError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsServerError::Pem { what, why: error.to_string() })?;
    if found.is_empty() {
        return Err(TlsServerError::Pem { what, why: "it holds no certificate".to_owned() });
    }
    Ok(found)
}
