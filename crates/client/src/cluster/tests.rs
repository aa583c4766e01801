//! Routing against scripted brokers: what a cluster does when its brokers are not where they were.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use farlog_wire::messages::heartbeat_request::HeartbeatRequest;
use farlog_wire::messages::heartbeat_response::HeartbeatResponse;
use farlog_wire::messages::metadata_request::MetadataRequest;
use farlog_wire::messages::metadata_response::{MetadataResponse, MetadataResponseBroker};
use farlog_wire::{ApiKey, ErrorCode, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::broker_name::ServerAddress;

/// Where the cluster says that broker 1 is: an answer for each question, the last one for ever.
type Places = Arc<Mutex<VecDeque<u16>>>;

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn serve(listener: TcpListener, places: Places) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, places.clone()));
    }
}

/// Answers until the client hangs up.
async fn converse(mut stream: TcpStream, places: Places) -> std::io::Result<()> {
    loop {
        let size = stream.read_u32().await?;
        let mut body = vec![0; size as usize];
        stream.read_exact(&mut body).await?;
        let api = i16::from_be_bytes([body[0], body[1]]);
        let version = i16::from_be_bytes([body[2], body[3]]);
        let id = i32::from_be_bytes([body[4], body[5], body[6], body[7]]);
        let frame = if api == i16::from(ApiKey::ApiVersions) {
            farlog_wire::frame::encode_response::<ApiVersionsRequest>(&versions(), version, id)
        } else if api == i16::from(ApiKey::Metadata) {
            let response = metadata(&places);
            farlog_wire::frame::encode_response::<MetadataRequest>(&response, version, id)
        } else {
            let response = HeartbeatResponse { error_code: ErrorCode(7), ..Default::default() };
            farlog_wire::frame::encode_response::<HeartbeatRequest>(&response, version, id)
        };
        stream.write_all(&frame.unwrap()).await?;
    }
}

fn versions() -> ApiVersionsResponse {
    fn api<R: Request>() -> ApiVersion {
        let (min_version, max_version) = (R::VERSIONS.min, R::VERSIONS.max);
        ApiVersion { api_key: R::API_KEY.into(), min_version, max_version }
    }
    let api_keys = vec![api::<MetadataRequest>(), api::<HeartbeatRequest>()];
    ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }
}

fn metadata(places: &Places) -> MetadataResponse {
    let mut places = places.lock().unwrap();
    let port = if places.len() > 1 { places.pop_front() } else { places.front().copied() };
    let broker = MetadataResponseBroker {
        node_id: 1,
        host: "127.0.0.1".to_owned(),
        port: port.unwrap().into(),
        ..MetadataResponseBroker::default()
    };
    MetadataResponse {
        brokers: vec![broker],
        cluster_id: Some("scripted".to_owned()),
        controller_id: 1,
        ..MetadataResponse::default()
    }
}

#[tokio::test]
async fn a_broker_that_moved_is_looked_up_again() {
    let (gone, old_port) = listen().await;
    drop(gone);
    let (moved, new_port) = listen().await;
    let (seed, seed_port) = listen().await;
    let places: Places = Arc::new(Mutex::new(VecDeque::from([old_port, new_port])));
    let tasks = [tokio::spawn(serve(moved, places.clone())), tokio::spawn(serve(seed, places))];
    let options = ClusterOptions::new(vec![ServerAddress::new("127.0.0.1", seed_port)]);
    let cluster = Cluster::connect(options).await.unwrap();
    assert_eq!(cluster.cached_metadata().brokers[&1].name.address.port, old_port);
    let answer = cluster.send_to(1, &HeartbeatRequest::default()).await.unwrap();
    assert_eq!(answer.error_code, ErrorCode(7));
    assert_eq!(cluster.cached_metadata().brokers[&1].name.address.port, new_port);
    let connection = cluster.connection(1).await.unwrap();
    assert_eq!(connection.broker().address.port, new_port);
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn callers_share_one_connection() {
    let (broker, port) = listen().await;
    let places: Places = Arc::new(Mutex::new(VecDeque::from([port])));
    let task = tokio::spawn(serve(broker, places));
    let options = ClusterOptions::new(vec![ServerAddress::new("127.0.0.1", port)]);
    let cluster = Cluster::connect(options).await.unwrap();
    let (one, other) = tokio::join!(cluster.connection(1), cluster.connection(1));
    one.unwrap().close().await;
    assert!(other.unwrap().failure().is_some(), "both are handles on the same connection");
    assert!(cluster.connection(1).await.unwrap().failure().is_none());
    task.abort();
}
