//! TLS towards brokers: rustls with aws-lc-rs, certificates as PEM.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// What a person says about TLS; PEM texts, not paths.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Authorities that sign the brokers' certificates (`ssl.truststore.certificates`); `None`
    /// means those of the operating system, or Mozilla's where it has none.
    pub authorities_pem: Option<Vec<u8>>,
    /// Our own certificate and key, where brokers ask for one.
    pub identity: Option<TlsIdentity>,
    /// Accept a valid certificate of any host: `ssl.endpoint.identification.algorithm=` (empty).
    pub any_host_name: bool,
}

/// A client certificate. Its `Debug` never shows the key.
#[derive(Clone)]
pub struct TlsIdentity {
    /// Certificate chain, leaf first (`ssl.keystore.certificate.chain`).
    pub certificates_pem: Vec<u8>,
    /// Private key in PKCS #8, PKCS #1 or SEC 1, not encrypted (`ssl.keystore.key`).
    pub key_pem: Vec<u8>,
}

/// Why TLS cannot be set up as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsOptionsError {
    /// A PEM text that cannot be read.
    #[error("the {what} is not PEM: {reason}")]
    Pem {
        /// Which text.
        what: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A PEM text without what it should hold.
    #[error("the {what} holds no certificate")]
    Empty {
        /// Which text.
        what: &'static str,
    },
    /// rustls refuses a certificate or key.
    #[error("the {what} cannot be used: {reason}")]
    Refused {
        /// Which text.
        what: &'static str,
        /// What rustls said.
        reason: String,
    },
}

/// Ready-made TLS settings; cheap to clone.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

/// Checks the chain like any other, and forgives only the host name.
#[derive(Debug)]
struct AnyHostName(Arc<WebPkiServerVerifier>);

// === impl TlsOptions ===

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("authorities_given", &self.authorities_pem.is_some())
            .field("identity_given", &self.identity.is_some())
            .field("any_host_name", &self.any_host_name)
            .finish()
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

// === impl TlsClient ===

impl TlsClient {
    /// Reads the PEM texts and builds the settings once for all connections.
    pub fn new(options: &TlsOptions) -> Result<TlsClient, TlsOptionsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots(options.authorities_pem.as_deref())?);
        let refused = |what, error: &dyn fmt::Display| TlsOptionsError::Refused {
            what,
            reason: error.to_string(),
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| refused("certificate authority", &error))?;
        let builder = config_builder(provider)?.dangerous();
        let builder = if options.any_host_name {
            builder.with_custom_certificate_verifier(Arc::new(AnyHostName(verifier)))
        } else {
            builder.with_custom_certificate_verifier(verifier)
        };
        let config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates("client certificate", &identity.certificates_pem)?;
                let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(|error| {
                    TlsOptionsError::Pem { what: "client key", reason: error.to_string() }
                })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| refused("client certificate", &error))?
            }
        };
        Ok(TlsClient(Arc::new(config)))
    }

    pub(crate) fn connector(&self) -> tokio_rustls::TlsConnector {
        tokio_rustls::TlsConnector::from(self.0.clone())
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

fn config_builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsOptionsError> {
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(
        |error| TlsOptionsError::Refused { what: "set of TLS versions", reason: error.to_string() },
    )
}

fn roots(authorities_pem: Option<&[u8]>) -> Result<RootCertStore, TlsOptionsError> {
    let what = "certificate authority";
    let mut roots = RootCertStore::empty();
    if let Some(pem) = authorities_pem {
        for certificate in certificates(what, pem)? {
            roots
                .add(certificate)
                .map_err(|error| TlsOptionsError::Refused { what, reason: error.to_string() })?;
        }
        return Ok(roots);
    }
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a certificate store of the operating system cannot be read");
    }
    // Stores of operating systems hold oddities that rustls cannot use; the rest still serves.
    let (added, ignored) = roots.add_parsable_certificates(native.certs);
    tracing::debug!(added, ignored, "loaded the operating system's certificate authorities");
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsOptionsError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsOptionsError::Pem { what, reason: error.to_string() })?;
    if certificates.is_empty() {
        return Err(TlsOptionsError::Empty { what });
    }
    Ok(certificates)
}

// === impl AnyHostName ===

impl ServerCertVerifier for AnyHostName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is checked last, so this error means that everything else was in order.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
