//! What versions cannot carry, and how an old broker's answer to `ApiVersions` is understood.

use bytes::Bytes;
use farlog_wire::frame::{decode_response, encode_request, encode_response};
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use farlog_wire::messages::consumer_group_heartbeat_response as heartbeat;
use farlog_wire::messages::fetch_request::FetchRequest;
use farlog_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use farlog_wire::messages::init_producer_id_request::InitProducerIdRequest;
use farlog_wire::messages::init_producer_id_response::InitProducerIdResponse;
use farlog_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use farlog_wire::messages::produce_request::ProduceRequest;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use farlog_wire::primitives::{DecodeError, EncodeError};
use farlog_wire::{ApiKey, ErrorCode, Message, Reader, Request, VersionRange, Writer};

use super::round_trip::{decode, encode};

fn refusal<M: Message>(message: &M, version: i16) -> EncodeError {
    message.encode(&mut Writer::new(), version).expect_err("the version cannot carry this")
}

#[test]
fn a_field_that_matters_is_not_dropped_silently() {
    let request = FindCoordinatorRequest {
        coordinator_keys: vec!["group".to_owned()],
        ..FindCoordinatorRequest::default()
    };
    let field = "FindCoordinatorRequest.coordinator_keys";
    assert_eq!(refusal(&request, 3), EncodeError::FieldNotInVersion { field, version: 3 });
    assert!(encode_request(&request, 4, 0, None).is_ok());
}

#[test]
fn a_field_that_does_not_matter_is_dropped_where_there_is_no_place_for_it() {
    let request = FetchRequest { rack_id: "r1".to_owned(), ..FetchRequest::default() };
    assert_eq!(decode::<FetchRequest>(encode(&request, 10), 10), FetchRequest::default());
    assert_eq!(decode::<FetchRequest>(encode(&request, 11), 11), request);
}

#[test]
fn null_is_refused_where_a_version_has_no_null() {
    let topic = MetadataRequestTopic { name: None, ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let field = "MetadataRequestTopic.name";
    assert_eq!(refusal(&request, 9), EncodeError::Null { field });
    assert!(encode_request(&request, 10, 0, None).is_ok());
    let null_name = Bytes::from_static(&[0, 0, 0, 1, 0xff, 0xff, 1]);
    let error = MetadataRequest::decode(&mut Reader::new(null_name), 4);
    assert_eq!(error, Err(DecodeError::Null { field }));
}

#[test]
fn a_structure_can_be_null() {
    let mut response = heartbeat::ConsumerGroupHeartbeatResponse::default();
    assert_eq!(response.assignment, None);
    assert_eq!(
        decode::<heartbeat::ConsumerGroupHeartbeatResponse>(encode(&response, 0), 0),
        response
    );
    response.assignment = Some(heartbeat::Assignment::default());
    assert_eq!(
        decode::<heartbeat::ConsumerGroupHeartbeatResponse>(encode(&response, 0), 0),
        response
    );
}

#[test]
fn a_string_longer_than_its_length_can_say_is_refused() {
    let mut request = SaslHandshakeRequest { mechanism: "x".repeat(32_767) };
    assert!(encode_request(&request, 1, 0, None).is_ok());
    request.mechanism.push('x');
    let field = "SaslHandshakeRequest.mechanism";
    let error = EncodeError::TooLong { field, length: 32_768, length_max: 32_767 };
    assert_eq!(refusal(&request, 1), error);
}

#[test]
fn versions_that_are_not_known_are_refused_both_ways() {
    let known = VersionRange { min: 3, max: 13 };
    assert_eq!(ProduceRequest::VERSIONS, known);
    for version in [-1, 2, 14, i16::MAX] {
        let message = "ProduceRequest";
        let encoded = refusal(&ProduceRequest::default(), version);
        assert_eq!(encoded, EncodeError::UnknownVersion { message, version, known });
        let decoded = ProduceRequest::decode(&mut Reader::new(Bytes::new()), version);
        assert_eq!(decoded, Err(DecodeError::UnknownVersion { message, version, known }));
    }
}

#[test]
fn versions_that_kafka_calls_unstable_are_not_used() {
    assert_eq!(InitProducerIdRequest::VERSIONS, VersionRange { min: 0, max: 5 });
    assert_eq!(InitProducerIdResponse::VERSIONS, InitProducerIdRequest::VERSIONS);
}

#[test]
fn bytes_after_a_response_are_an_error() {
    let response = ApiVersionsResponse::default();
    let frame = encode_response::<ApiVersionsRequest>(&response, 0, 1).unwrap();
    let longer = Bytes::from([&frame[4..], &[0]].concat());
    assert!(matches!(
        decode_response::<ApiVersionsRequest>(longer, 0),
        Err(DecodeError::TrailingBytes { remaining: 1, .. })
    ));
}

#[test]
fn strings_are_utf_8_and_variable_length_integers_have_32_bits() {
    let not_utf8 = Bytes::from_static(&[0, 2, 0xc3, 0x28]);
    let field = "SaslHandshakeRequest.mechanism";
    let error = SaslHandshakeRequest::decode(&mut Reader::new(not_utf8), 0);
    assert_eq!(error, Err(DecodeError::NotUtf8 { field }));
    for bytes in [[0xff, 0xff, 0xff, 0xff, 0x1f], [0xff, 0xff, 0xff, 0xff, 0xff]] {
        let error = Reader::new(Bytes::copy_from_slice(&bytes)).unsigned_varint("x");
        assert_eq!(error, Err(DecodeError::VarintTooLong { field: "x" }));
    }
}

#[test]
fn api_versions_is_answered_with_an_inflexible_header() {
    for version in 0..=4 {
        assert_eq!(ApiVersionsRequest::response_header_version(version), 0);
    }
    assert_eq!(ApiVersionsRequest::request_header_version(2), 1);
    assert_eq!(ApiVersionsRequest::request_header_version(3), 2);
}

#[test]
fn a_broker_that_does_not_know_the_version_of_api_versions_is_understood() {
    let known = ApiVersion { api_key: ApiKey::ApiVersions.into(), min_version: 0, max_version: 2 };
    // Before Kafka 2.4 the list is empty, since then it has this one API (KIP-511).
    for api_keys in [Vec::new(), vec![known]] {
        let error_code = ErrorCode::UNSUPPORTED_VERSION;
        let answer = ApiVersionsResponse { error_code, api_keys, ..Default::default() };
        let frame = encode_response::<ApiVersionsRequest>(&answer, 0, 77).unwrap().slice(4..);
        for version in 0..=4 {
            let decoded = decode_response::<ApiVersionsRequest>(frame.clone(), version);
            assert_eq!(decoded, Ok((77, answer.clone())), "asked in version {version}");
        }
        // A broker that gives the error in the version of the request is understood, too.
        let frame = encode_response::<ApiVersionsRequest>(&answer, 3, 77).unwrap().slice(4..);
        assert_eq!(decode_response::<ApiVersionsRequest>(frame, 3), Ok((77, answer)));
    }
}
