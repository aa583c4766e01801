//! A broker with a listener of each kind, and ways into it.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use bytes::Bytes;
use farlog_broker::{
    BrokerOptions, ClientCertificates, ListenerOptions, SecurityProtocol, TlsServerOptions, Users,
};
use farlog_client::options::{Security, SecurityProtocol as ClientProtocol};
use farlog_client::sasl::{SaslCredentials, SaslMechanism};
use farlog_client::tls::{TlsIdentity, TlsOptions};
use farlog_client::{Cluster, ClusterOptions, ConnectError, ServerAddress};
use farlog_wire::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use farlog_wire::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use farlog_wire::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use farlog_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use farlog_wire::records::BatchWriter;
use farlog_wire::{ErrorCode, Message};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::fixture::{Running, loopback, start_with};
use crate::peer::Peer;

const PROTOCOLS: [SecurityProtocol; 4] = [
    SecurityProtocol::Plaintext,
    SecurityProtocol::Ssl,
    SecurityProtocol::SaslPlaintext,
    SecurityProtocol::SaslSsl,
];

/// A broker with its certificates.
pub(crate) struct Secured {
    pub(crate) broker: Running,
    pub(crate) certificates: Certificates,
}

/// All PEM.
#[derive(Clone)]
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) broker: (String, String),
    /// `CN=client,O=Example\, Inc`.
    pub(crate) client: (String, String),
}

/// Who comes how.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) protocol: SecurityProtocol,
    pub(crate) mechanism: SaslMechanism,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

impl Login<'_> {
    pub(crate) fn alice(protocol: SecurityProtocol, mechanism: SaslMechanism) -> Self {
        Login { protocol, mechanism, user: "alice", password: "alice's secret" }
    }
}

pub(crate) fn listener(protocol: SecurityProtocol) -> ListenerOptions {
    ListenerOptions { protocol, ..ListenerOptions::plaintext(loopback()) }
}

/// Options with a listener of each kind and the users alice and bob; certificates come later.
pub(crate) fn options() -> BrokerOptions {
    let mut options = BrokerOptions::in_memory(loopback());
    options.listeners = PROTOCOLS.into_iter().map(listener).collect();
    options.security.users = Users::parse("alice=alice's secret\nbob=bob's secret").expect("users");
    options
}

impl Certificates {
    fn make() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let make = |names: &[&str], subject: &[(DnType, &str)]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).expect("names");
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, value) in subject {
                params.distinguished_name.push(kind.clone(), *value);
            }
            let key = KeyPair::generate().expect("a key");
            let signed = params.signed_by(&key, &authority).expect("a certificate");
            (signed.pem(), key.serialize_pem())
        };
        let client = [(DnType::OrganizationName, "Example, Inc"), (DnType::CommonName, "client")];
        Self {
            authority: authority.pem(),
            broker: make(&["localhost", "127.0.0.1"], &[(DnType::CommonName, "broker")]),
            client: make(&[], &client),
        }
    }
}

impl Secured {
    pub(crate) async fn start() -> Self {
        Self::start_with(options()).await
    }

    pub(crate) async fn start_with(mut options: BrokerOptions) -> Self {
        let certificates = Certificates::make();
        options.security.tls = Some(TlsServerOptions {
            certificates_pem: certificates.broker.0.clone().into(),
            key_pem: certificates.broker.1.clone().into(),
            clients: ClientCertificates::Required(certificates.authority.clone().into()),
        });
        Self { broker: start_with(options).await, certificates }
    }

    pub(crate) async fn stop(self) {
        self.broker.stop().await;
    }

    /// Where the listener of this protocol listens.
    pub(crate) fn address(&self, protocol: SecurityProtocol) -> SocketAddr {
        let index = PROTOCOLS.iter().position(|other| *other == protocol).expect("all are there");
        self.broker.handle.addresses()[index]
    }

    /// Our client's settings.
    pub(crate) fn client_options(&self, login: Login<'_>) -> ClusterOptions {
        let protocol: ClientProtocol = login.protocol.name().parse().expect("the same names");
        let credentials = SaslCredentials {
            mechanism: login.mechanism,
            username: login.user.into(),
            password: login.password.into(),
        };
        self.options_of(protocol, None, Some(credentials), self.address(login.protocol))
    }

    fn options_of(
        &self,
        protocol: ClientProtocol,
        identity: Option<TlsIdentity>,
        credentials: Option<SaslCredentials>,
        address: SocketAddr,
    ) -> ClusterOptions {
        let tls = TlsOptions {
            authorities_pem: Some(self.certificates.authority.clone().into()),
            identity,
            any_host_name: false,
        };
        let servers = ServerAddress::parse_list(&address.to_string()).expect("an address");
        let mut options = ClusterOptions::new(servers);
        options.connection.security =
            Security::new(protocol, &tls, credentials).expect("settings that agree");
        options
    }

    pub(crate) async fn connect(&self, login: Login<'_>) -> Result<Cluster, ConnectError> {
        Cluster::connect(self.client_options(login)).await
    }

    /// Over TLS alone, with a certificate or without.
    pub(crate) async fn connect_tls(&self, with_identity: bool) -> Result<Cluster, ConnectError> {
        let (certificate, key) = self.certificates.client.clone();
        let identity = TlsIdentity { certificates_pem: certificate.into(), key_pem: key.into() };
        let identity = with_identity.then_some(identity);
        let address = self.address(SecurityProtocol::Ssl);
        Cluster::connect(self.options_of(ClientProtocol::Ssl, identity, None, address)).await
    }

    /// Sets a user's SCRAM-SHA-256 password, as an administrator's client does.
    pub(crate) async fn set_password(&self, user: &str, password: &str) {
        let (salt, mut salted) = (b"not very random", [0; 32]);
        let iterations = NonZeroU32::new(4_096).expect("above zero");
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        self.alter_scram(AlterUserScramCredentialsRequest {
            upsertions: vec![ScramCredentialUpsertion {
                name: user.to_owned(),
                mechanism: 1,
                iterations: 4_096,
                salt: Bytes::from_static(salt),
                salted_password: Bytes::copy_from_slice(&salted),
            }],
            ..AlterUserScramCredentialsRequest::default()
        })
        .await;
    }

    pub(crate) async fn remove_password(&self, user: &str) {
        let deletion = ScramCredentialDeletion { name: user.to_owned(), mechanism: 1 };
        self.alter_scram(AlterUserScramCredentialsRequest {
            deletions: vec![deletion],
            ..AlterUserScramCredentialsRequest::default()
        })
        .await;
    }

    async fn alter_scram(&self, request: AlterUserScramCredentialsRequest) {
        let mut peer = Peer::new(self.address(SecurityProtocol::Plaintext));
        let version = AlterUserScramCredentialsRequest::VERSIONS.max;
        let answer = peer.call(&request, version).await.expect("an answer");
        assert!(answer.results.iter().all(|result| result.error_code == ErrorCode::NONE));
    }

    fn plain(&self) -> Peer {
        Peer::new(self.address(SecurityProtocol::Plaintext))
    }

    /// Lets a user read a topic.
    pub(crate) async fn allow_reading(&self, user: &str, topic: &str) {
        let creation = AclCreation {
            resource_type: 2,
            resource_name: topic.to_owned(),
            resource_pattern_type: 3,
            principal: format!("User:{user}"),
            host: "*".to_owned(),
            operation: 3,
            permission_type: 3,
        };
        let request = CreateAclsRequest { creations: vec![creation] };
        let answer = self.plain().call(&request, 3).await.expect("an answer");
        assert_eq!(answer.results[0].error_code, ErrorCode::NONE);
    }

    /// Lets a user fetch so many bytes a second.
    pub(crate) async fn limit_fetching(&self, user: &str, bytes_per_s: u32) {
        let entity =
            EntityData { entity_type: "user".to_owned(), entity_name: Some(user.to_owned()) };
        let op = OpData {
            key: "consumer_byte_rate".to_owned(),
            value: f64::from(bytes_per_s),
            remove: false,
        };
        let entries = vec![EntryData { entity: vec![entity], ops: vec![op] }];
        let request = AlterClientQuotasRequest { entries, validate_only: false };
        let answer = self.plain().call(&request, 1).await.expect("an answer");
        assert_eq!(answer.entries[0].error_code, ErrorCode::NONE);
    }

    /// Appends a record of so many bytes to the topic `t`.
    pub(crate) async fn produce(&self, bytes: usize) {
        let mut writer = BatchWriter::new();
        writer.push(0, None, Some(&vec![b'x'; bytes]), &[]);
        let records = writer.finish_unsequenced().expect("a batch").to_bytes();
        let partition = PartitionProduceData { index: 0, records: Some(records) };
        let topic = TopicProduceData {
            name: "t".to_owned(),
            partition_data: vec![partition],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..ProduceRequest::default()
        };
        let answer = self.plain().call(&request, 9).await.expect("an answer");
        let code = answer.responses[0].partition_responses[0].error_code;
        assert_eq!(code, ErrorCode::NONE);
    }

    /// Fetches from its start; for how long the client is muted then, in milliseconds.
    pub(crate) async fn fetch(&self, peer: &mut Peer) -> i32 {
        let partition = FetchPartition {
            partition: 0,
            fetch_offset: 0,
            partition_max_bytes: 1_000_000,
            ..FetchPartition::default()
        };
        let topic = FetchTopic {
            topic: "t".to_owned(),
            partitions: vec![partition],
            ..FetchTopic::default()
        };
        let request = FetchRequest {
            max_bytes: 1_000_000,
            session_epoch: -1,
            topics: vec![topic],
            ..FetchRequest::default()
        };
        let answer = peer.call(&request, 12).await.expect("an answer");
        let code = answer.responses[0].partitions[0].error_code;
        assert_eq!(code, ErrorCode::NONE);
        answer.throttle_time_ms
    }
}
