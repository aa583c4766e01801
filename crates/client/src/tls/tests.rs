//! TLS settings against an in-memory server with certificates of our own making.

use std::io;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn issue(&self, host: &str) -> TlsIdentity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        TlsIdentity {
            certificates_pem: certificate.pem().into_bytes(),
            key_pem: key.serialize_pem().into_bytes(),
        }
    }
}

async fn talk(
    authority: &Authority,
    server_host: &str,
    ask_for_client_certificate: bool,
    client: &TlsClient,
) -> io::Result<()> {
    let identity = authority.issue(server_host);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if ask_for_client_certificate {
        let roots = Arc::new(roots(Some(&authority.pem())).unwrap());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = builder
        .with_single_cert(
            certificates("server", &identity.certificates_pem).unwrap(),
            PrivateKeyDer::from_pem_slice(&identity.key_pem).unwrap(),
        )
        .unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = async {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"hello").await?;
        stream.flush().await
    };
    let client = async {
        let name = ServerName::try_from("broker.example").unwrap();
        let mut stream = client.connector().connect(name, near).await?;
        let mut word = [0; 5];
        stream.read_exact(&mut word).await?;
        assert_eq!(&word, b"hello");
        Ok(())
    };
    let (server, client) = tokio::join!(server, client);
    server.and(client)
}

#[tokio::test]
async fn a_known_authority_and_host_are_accepted() {
    let authority = Authority::new();
    let options = TlsOptions { authorities_pem: Some(authority.pem()), ..TlsOptions::default() };
    let client = TlsClient::new(&options).unwrap();
    talk(&authority, "broker.example", false, &client).await.unwrap();
    talk(&authority, "other.example", false, &client).await.unwrap_err();
    talk(&Authority::new(), "broker.example", false, &client).await.unwrap_err();
}

#[tokio::test]
async fn only_the_host_name_is_forgiven() {
    let authority = Authority::new();
    let options = TlsOptions {
        authorities_pem: Some(authority.pem()),
        any_host_name: true,
        ..TlsOptions::default()
    };
    let client = TlsClient::new(&options).unwrap();
    talk(&authority, "other.example", false, &client).await.unwrap();
    talk(&Authority::new(), "broker.example", false, &client).await.unwrap_err();
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_asked_for() {
    let authority = Authority::new();
    let mut options =
        TlsOptions { authorities_pem: Some(authority.pem()), ..TlsOptions::default() };
    let without = TlsClient::new(&options).unwrap();
    talk(&authority, "broker.example", true, &without).await.unwrap_err();
    options.identity = Some(authority.issue("farlog"));
    let with = TlsClient::new(&options).unwrap();
    talk(&authority, "broker.example", true, &with).await.unwrap();
}

#[test]
fn unusable_pem_is_named() {
    let build = |authorities: &[u8]| {
        TlsClient::new(&TlsOptions {
            authorities_pem: Some(authorities.to_vec()),
            ..TlsOptions::default()
        })
        .unwrap_err()
        .to_string()
    };
    assert_eq!(build(b"nothing"), "the certificate authority holds no certificate");
    assert!(build(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").contains("PEM"));
    TlsClient::new(&TlsOptions::default()).unwrap();
}
