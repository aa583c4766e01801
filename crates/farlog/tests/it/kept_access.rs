//! Who may come in, what they may do and how much of it survives kill -9 of `farlog broker`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use farlog_client::admin::NewTopic;
use farlog_client::sasl::{SaslCredentials, SaslMechanism};
use farlog_client::{Cluster, ClusterOptions, ConnectError, ServerAddress, TopicPartition};
use farlog_testkit::ports::PortLease;
use farlog_testkit::process::{Program, Supervised};
use farlog_testkit::scratch::Scratch;
use farlog_wire::frame::{SIZE_BYTES, decode_response, encode_request};
use farlog_wire::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use farlog_wire::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use farlog_wire::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use farlog_wire::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use farlog_wire::messages::describe_acls_request::DescribeAclsRequest;
use farlog_wire::messages::describe_client_quotas_request::DescribeClientQuotasRequest;
use farlog_wire::records::{BatchWriter, OutgoingBatch, ProducerStamp};
use farlog_wire::{ErrorCode, Request};

use crate::binary::{FARLOG, PATIENCE};

// Kafka's numbers (`ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`,
// `ScramMechanism`).
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const WRITE: i8 = 4;
const ALLOW: i8 = 3;
const ANY: i8 = 1;
const SCRAM_SHA_256: i8 = 1;

const ALLOWED: &str = "allowed";
const DENIED: &str = "denied";

const USER: &str = "user";
const PASSWORD: &str = "pencil";
const ITERATIONS: i32 = 4096;
/// Salt of the example in RFC 7677, and what PBKDF2 makes of it and the password.
const SALT: &[u8] = &[91, 109, 153, 104, 157, 18, 53, 142, 236, 160, 75, 20, 18, 54, 250, 129];
const SALTED_PASSWORD: &[u8] = &[
    0xc4, 0xa4, 0x95, 0x10, 0x32, 0x3a, 0xb4, 0xf9, 0x52, 0xca, 0xc1, 0xfa, 0x99, 0x44, 0x19, 0x39,
    0xe7, 0x8e, 0xa7, 0x4d, 0x6b, 0xe8, 0x1d, 0xdf, 0x70, 0x96, 0xe8, 0x75, 0x13, 0xdc, 0x61, 0x5d,
];

/// More than the test takes, so that nobody waits.
const BYTE_RATE: f64 = 1e9;

/// A broker whose clients without a name may do everything; the others come in by SASL.
struct Place {
    scratch: Scratch,
    plain: PortLease,
    sasl: PortLease,
    started: usize,
}

impl Place {
    fn start(&mut self) -> Supervised {
        self.started += 1;
        let directory: &Path = self.scratch.path();
        let output = directory.join(format!("output-{}", self.started));
        let mut broker = Program::new("farlog broker", FARLOG, directory, &output)
            .args(["broker", "--authorizer", "--super-user", "User:ANONYMOUS"])
            .args(["--listen", &format!("plaintext://{}", self.plain.address())])
            .args(["--listen", &format!("sasl_plaintext://{}", self.sasl.address())])
            .arg("--data")
            .arg(directory.join("data"))
            .spawn()
            .unwrap();
        // Said once both listen.
        let address = self.sasl.address();
        broker.wait_for(PATIENCE, |broker| broker.said(&address)).unwrap();
        broker
    }

    /// Asks as the one who may do everything.
    fn call<R: Request>(&self, request: &R, version: i16) -> R::Response {
        let mut stream = TcpStream::connect(self.plain.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&encode_request(request, version, 1, Some("test")).unwrap()).unwrap();
        let mut size = [0; SIZE_BYTES];
        stream.read_exact(&mut size).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(size) as usize];
        stream.read_exact(&mut frame).unwrap();
        decode_response::<R>(frame.into(), version).unwrap().1
    }

    async fn anonymous(&self) -> Cluster {
        let servers = ServerAddress::parse_list(&self.plain.address()).unwrap();
        Cluster::connect(ClusterOptions::new(servers)).await.unwrap()
    }

    async fn user(&self, password: &str) -> Result<Cluster, ConnectError> {
        let servers = ServerAddress::parse_list(&self.sasl.address()).unwrap();
        let mut options = ClusterOptions::new(servers);
        options.retry.give_up_after = Duration::ZERO;
        options.connection.security.sasl = Some(SaslCredentials {
            mechanism: SaslMechanism::ScramSha256,
            username: USER.into(),
            password: password.into(),
        });
        Cluster::connect(options).await
    }

    fn make(&self) {
        let upsertion = ScramCredentialUpsertion {
            name: USER.to_owned(),
            mechanism: SCRAM_SHA_256,
            iterations: ITERATIONS,
            salt: Bytes::from_static(SALT),
            salted_password: Bytes::from_static(SALTED_PASSWORD),
        };
        let upsertions = vec![upsertion];
        let request = AlterUserScramCredentialsRequest { upsertions, ..Default::default() };
        assert_eq!(self.call(&request, 0).results[0].error_code, ErrorCode::NONE);
        let creation = AclCreation {
            resource_type: TOPIC,
            resource_name: ALLOWED.to_owned(),
            resource_pattern_type: LITERAL,
            principal: format!("User:{USER}"),
            host: "*".to_owned(),
            operation: WRITE,
            permission_type: ALLOW,
        };
        let request = CreateAclsRequest { creations: vec![creation] };
        assert_eq!(self.call(&request, 3).results[0].error_code, ErrorCode::NONE);
        self.set_quota(false);
    }

    fn set_quota(&self, remove: bool) {
        let key = "producer_byte_rate".to_owned();
        let user =
            EntityData { entity_type: "user".to_owned(), entity_name: Some(USER.to_owned()) };
        let entry =
            EntryData { entity: vec![user], ops: vec![OpData { key, value: BYTE_RATE, remove }] };
        let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
        assert_eq!(self.call(&request, 1).entries[0].error_code, ErrorCode::NONE);
    }

    fn unmake(&self) {
        let deletion = ScramCredentialDeletion { name: USER.to_owned(), mechanism: SCRAM_SHA_256 };
        let deletions = vec![deletion];
        let request = AlterUserScramCredentialsRequest { deletions, ..Default::default() };
        assert_eq!(self.call(&request, 0).results[0].error_code, ErrorCode::NONE);
        let filter = DeleteAclsFilter {
            resource_type_filter: TOPIC,
            resource_name_filter: None,
            pattern_type_filter: ANY,
            principal_filter: None,
            host_filter: None,
            operation: ANY,
            permission_type: ANY,
        };
        let deleted = self.call(&DeleteAclsRequest { filters: vec![filter] }, 3);
        assert_eq!(deleted.filter_results[0].matching_acls.len(), 1);
        self.set_quota(true);
    }

    /// Names of the topics that entries are about, and who is told so.
    fn entries(&self) -> Vec<(String, String)> {
        let request = DescribeAclsRequest {
            resource_type_filter: ANY,
            resource_name_filter: None,
            pattern_type_filter: ANY,
            principal_filter: None,
            host_filter: None,
            operation: ANY,
            permission_type: ANY,
        };
        let resources = self.call(&request, 3).resources.into_iter();
        let entries = resources.flat_map(|resource| {
            let name = resource.resource_name;
            resource.acls.into_iter().map(move |acl| (name.clone(), acl.principal))
        });
        entries.collect()
    }

    fn quotas(&self) -> Vec<(String, f64)> {
        let described = self.call(&DescribeClientQuotasRequest::default(), 1);
        let entries = described.entries.unwrap_or_default().into_iter();
        let values = entries.flat_map(|entry| entry.values);
        values.map(|value| (value.key, value.value)).collect()
    }
}

fn batch() -> OutgoingBatch {
    let mut writer = BatchWriter::new();
    writer.push(0, None, Some(b"value"), &[]);
    writer.finish(ProducerStamp::NONE).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn access_survives_kills() {
    let mut place = Place {
        scratch: Scratch::new("access").unwrap(),
        plain: PortLease::take().unwrap(),
        sasl: PortLease::take().unwrap(),
        started: 0,
    };
    let mut broker = place.start();
    let topics = [ALLOWED, DENIED].map(|name| NewTopic {
        name: name.to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        configs: Default::default(),
    });
    place.anonymous().await.create_topics(&topics, false).await.unwrap();
    assert!(place.user(PASSWORD).await.is_err(), "nobody has made the user");

    place.make();
    broker.kill().unwrap();
    let mut broker = place.start();
    assert_eq!(place.entries(), [(ALLOWED.to_owned(), format!("User:{USER}"))]);
    assert_eq!(place.quotas(), [("producer_byte_rate".to_owned(), BYTE_RATE)]);
    assert!(place.user("pen").await.is_err(), "that is not the password");
    let user = place.user(PASSWORD).await.unwrap();
    user.produce_batch(&TopicPartition::new(ALLOWED, 0), &batch()).await.unwrap();
    let refused = user.produce_batch(&TopicPartition::new(DENIED, 0), &batch()).await;
    assert!(refused.is_err(), "nobody has allowed it");
    drop(user);

    place.unmake();
    broker.kill().unwrap();
    let mut broker = place.start();
    assert_eq!((place.entries(), place.quotas()), (Vec::new(), Vec::new()));
    assert!(place.user(PASSWORD).await.is_err(), "the user is no more");
    assert!(broker.stop(PATIENCE).unwrap(), "{}", broker.tail());
}
