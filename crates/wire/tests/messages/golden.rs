//! A few frames byte by byte, written down from the protocol guide and not from our encoder.

use bytes::Bytes;
use farlog_wire::frame::{self, correlation_id, decode_request_header, encode_request};
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::fetch_request::FetchRequest;
use farlog_wire::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use farlog_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use farlog_wire::{ErrorCode, Message, Reader, Request};

#[test]
fn sasl_handshake_is_never_flexible() {
    let request = SaslHandshakeRequest { mechanism: "PLAIN".to_owned() };
    let frame = encode_request(&request, 1, 7, Some("farlog")).unwrap();
    let expected = [
        &[0, 0, 0, 23][..], // size
        &[0, 17],           // API
        &[0, 1],            // version
        &[0, 0, 0, 7],      // correlation id
        b"\x00\x06farlog",  // client id
        b"\x00\x05PLAIN",   // mechanism
    ]
    .concat();
    assert_eq!(frame, expected);
}

#[test]
fn a_flexible_request_has_a_flexible_header_with_an_inflexible_client_id() {
    let request = ApiVersionsRequest {
        client_software_name: "farlog".to_owned(),
        client_software_version: "0.1".to_owned(),
    };
    let frame = encode_request(&request, 3, -2, None).unwrap();
    let expected = [
        &[0, 0, 0, 23][..],
        &[0, 18],
        &[0, 3],
        &[0xff, 0xff, 0xff, 0xfe],
        &[0xff, 0xff], // no client id
        &[0],          // no tagged fields in the header
        b"\x07farlog", // length + 1
        b"\x040.1",
        &[0], // no tagged fields
    ]
    .concat();
    assert_eq!(frame, expected);
}

#[test]
fn metadata_for_all_topics_is_null_and_for_none_is_empty() {
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let frame = encode_request(&all, 4, 1, None).unwrap();
    assert_eq!(frame[14..], [0xff, 0xff, 0xff, 0xff, 1]);
    let none = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let frame = encode_request(&none, 4, 1, None).unwrap();
    assert_eq!(frame[14..], [0, 0, 0, 0, 1]);
    let topic = MetadataRequestTopic { name: Some("t".to_owned()), ..Default::default() };
    let one = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let frame = encode_request(&one, 4, 1, None).unwrap();
    assert_eq!(frame[14..], *b"\x00\x00\x00\x01\x00\x01t\x01");
}

/// Version 12: names, compact lengths, and a tagged field inside a partition.
const FETCH_RESPONSE: &[&[u8]] = &[
    &[0, 0, 0, 9],                      // correlation id
    &[0],                               // no tagged fields in the header
    &[0, 0, 0, 100],                    // throttle time
    &[0, 0],                            // error
    &[0, 0, 0, 0],                      // session
    &[2],                               // one topic
    b"\x07orders",                      // name
    &[2],                               // one partition
    &[0, 0, 0, 3],                      // index
    &[0, 6],                            // NOT_LEADER_OR_FOLLOWER
    &[0, 0, 0, 0, 0, 0, 0, 5],          // high watermark
    &[0xff; 8],                         // last stable offset
    &[0, 0, 0, 0, 0, 0, 0, 1],          // log start
    &[0],                               // aborted transactions: null
    &[0xff; 4],                         // preferred read replica
    b"\x05data",                        // records
    &[2],                               // two tagged fields
    &[1, 9, 0, 0, 0, 8, 0, 0, 0, 2, 0], // tag 1: current leader 8, epoch 2, no tagged fields
    &[99, 2, 1, 2],                     // tag 99: not known to this release
    &[0],                               // no tagged fields in the topic
    &[0],                               // no tagged fields
];

#[test]
fn a_fetch_response_is_read_and_its_records_are_a_slice_of_the_frame() {
    let frame = Bytes::from(FETCH_RESPONSE.concat());
    assert_eq!(correlation_id(&frame), Ok(9));
    let (id, response) = frame::decode_response::<FetchRequest>(frame.clone(), 12).unwrap();
    assert_eq!(id, 9);
    let mut partition = PartitionData {
        partition_index: 3,
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        high_watermark: 5,
        log_start_offset: 1,
        aborted_transactions: None,
        records: Some(Bytes::from_static(b"data")),
        ..PartitionData::default()
    };
    partition.current_leader.leader_id = 8;
    partition.current_leader.leader_epoch = 2;
    let topic = FetchableTopicResponse {
        topic: "orders".to_owned(),
        partitions: vec![partition],
        ..FetchableTopicResponse::default()
    };
    let expected =
        FetchResponse { throttle_time_ms: 100, responses: vec![topic], ..FetchResponse::default() };
    assert_eq!(response, expected);
    let records = response.responses[0].partitions[0].records.as_ref().unwrap();
    let frame_range = frame.as_ptr_range();
    assert!(frame_range.contains(&records.as_ptr()), "records were copied");
}

#[test]
fn the_size_of_a_frame_is_checked_before_it_is_read() {
    assert_eq!(frame::size_of_frame([0, 0, 1, 0], 256), Ok(256));
    assert!(frame::size_of_frame([0, 0, 1, 1], 256).is_err());
    assert!(frame::size_of_frame([0xff; 4], 256).is_err());
    // The first bytes of a TLS alert, from a listener that expects TLS.
    assert!(frame::size_of_frame([0x15, 0x03, 0x03, 0x00], 100 << 20).is_err());
}

#[test]
fn what_a_client_sends_a_server_reads() {
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let frame = encode_request(&request, 12, 5, Some("c")).unwrap().slice(frame::SIZE_BYTES..);
    let (header, mut input) =
        decode_request_header(frame, |_, version| MetadataRequest::request_header_version(version))
            .unwrap();
    assert_eq!((header.request_api_key, header.request_api_version), (3, 12));
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (5, Some("c")));
    assert_eq!(MetadataRequest::decode(&mut input, 12), Ok(request));
}

#[test]
fn a_short_frame_has_no_correlation_id() {
    assert!(correlation_id(&[0, 0, 0]).is_err());
    assert!(Reader::new(Bytes::new()).finish("nothing").is_ok());
}
