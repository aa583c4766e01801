//! Frames and silence of people who do not say who they are.

use std::net::SocketAddr;

use farlog_broker::SecurityProtocol;
use farlog_wire::frame::encode_request;
use farlog_wire::messages::api_versions_request::ApiVersionsRequest;
use farlog_wire::messages::metadata_request::MetadataRequest;
use farlog_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::world::Secured;

/// What comes back until the broker closes the connection.
async fn told(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the broker listens");
    stream.write_all(bytes).await.expect("written");
    let mut told = Vec::new();
    // A reset is as good an end as any.
    let _ = stream.read_to_end(&mut told).await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_before_it_is_known_who_asks() {
    let broker = Secured::start().await;
    let address = broker.address(SecurityProtocol::SaslPlaintext);
    let handshake = SaslHandshakeRequest { mechanism: "PLAIN".to_owned() };
    let handshake = encode_request(&handshake, 1, 1, None).expect("a frame");
    let bare = SaslHandshakeRequest { mechanism: "PLAIN".to_owned() };
    let bare = encode_request(&bare, 0, 1, None).expect("a frame");
    let metadata = encode_request(&MetadataRequest::default(), 1, 2, None).expect("a frame");
    let versions = encode_request(&ApiVersionsRequest::default(), 0, 2, None).expect("a frame");
    let answered = told(address, &handshake[..handshake.len() - 1]);
    let cases: [(&str, Vec<u8>, bool); 9] = [
        ("metadata at once", metadata.to_vec(), false),
        ("metadata after the handshake", [&handshake[..], &metadata].concat(), true),
        ("metadata for a token", [&bare[..], &metadata].concat(), true),
        ("versions after the handshake", [&handshake[..], &versions].concat(), true),
        ("a second handshake", [&handshake[..], &handshake].concat(), true),
        ("a frame of 100 MiB", (100 * 1024 * 1024_u32).to_be_bytes().to_vec(), false),
        ("a negative frame", (-5_i32).to_be_bytes().to_vec(), false),
        ("an empty frame", vec![0; 4], false),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1], false),
    ];
    for (what, bytes, is_answered) in cases {
        // Ends at all, and says nothing but the answer to what was in order.
        let told = told(address, &bytes).await;
        let answer = told.len() > 4 && told[..4] == ((told.len() - 4) as u32).to_be_bytes();
        assert_eq!((answer, told.is_empty()), (is_answered, !is_answered), "{what}: {told:?}");
    }
    drop(answered);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_to_say_who_they_are_is_closed() {
    let broker = Secured::start().await;
    let begun = Instant::now();
    let protocols =
        [SecurityProtocol::Ssl, SecurityProtocol::SaslPlaintext, SecurityProtocol::SaslSsl];
    let slow = protocols.map(|protocol| {
        let begins = if protocol.has_tls() { [0x16, 3] } else { [0, 0] };
        let address = broker.address(protocol);
        async move { told(address, &begins).await }
    });
    assert!(join_all(slow).await.iter().all(Vec::is_empty));
    assert!((10..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    broker.stop().await;
}
