//! Over a real socket.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::app::statuses::{Snapshot, samples};

struct Running {
    address: SocketAddr,
    state: Arc<Mutex<LinkState>>,
    shutdown: watch::Sender<bool>,
    served: JoinHandle<io::Result<()>>,
}

async fn start() -> Running {
    let state = Arc::new(Mutex::new(LinkState::Active));
    let asked = state.clone();
    let statuses = Statuses::from_fn(move || {
        let state = *asked.lock().unwrap();
        Snapshot { at_ms: samples::NOW_MS, links: vec![samples::link("payments", state)] }
    });
    let server = HttpServer::bind("127.0.0.1:0".parse().unwrap(), statuses, 0).await.unwrap();
    let address = server.address();
    let (shutdown, stopping) = watch::channel(false);
    let served = tokio::spawn(server.run(stopping));
    Running { address, state, shutdown, served }
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn ready_follows_the_links() {
    let running = start().await;
    for (state, expected) in [
        (LinkState::Active, "200 OK"),
        (LinkState::Standby, "200 OK"),
        (LinkState::Starting, "503 Service Unavailable"),
        (LinkState::Connecting, "503 Service Unavailable"),
        (LinkState::Draining, "503 Service Unavailable"),
        (LinkState::Stopped, "503 Service Unavailable"),
    ] {
        *running.state.lock().unwrap() = state;
        let answer = get(running.address, "/health/ready").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{state:?}: {answer}");
        assert!(get(running.address, "/health/live").await.starts_with("HTTP/1.1 200 OK"));
    }
    assert!(get(running.address, "/health/ready").await.ends_with("payments: stopped\n"));
}

#[tokio::test]
async fn metrics_and_status_are_served_until_the_shutdown() {
    let running = start().await;
    let metrics = get(running.address, "/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(metrics.contains("\nfarlog_link_up{link=\"payments\""), "{metrics}");
    let status = get(running.address, "/status").await;
    let (_, body) = status.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["links"][0]["partitions"][1]["lag"]["records"], 300_000);
    assert!(get(running.address, "/nowhere").await.starts_with("HTTP/1.1 404"));
    running.shutdown.send(true).unwrap();
    running.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_said_plainly() {
    let running = start().await;
    let statuses = Statuses::from_fn(|| Snapshot { at_ms: 0, links: vec![] });
    let error = HttpServer::bind(running.address, statuses, 0).await.unwrap_err();
    let expected = format!(
        "cannot listen on {} for metrics and health: another process listens \
                            there",
        running.address
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn an_address_is_an_address_or_none() {
    assert_eq!("none".parse(), Ok(Listen::Nowhere));
    assert!(matches!("[::1]:9464".parse(), Ok(Listen::On(_))));
    assert!("9464".parse::<Listen>().unwrap_err().to_string().contains("127.0.0.1:9464"));
}
