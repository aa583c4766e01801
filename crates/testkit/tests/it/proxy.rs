//! The proxy's faults, as a client and a server see them.

// Set-up shared by tests: a failure there is a failed test.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use farlog_testkit::proxy::{Direction, FaultProxy, Flow, HELD_BYTES_MAX};
use socket2::SockRef;

/// Long enough to see that nothing comes.
const QUIET: Duration = Duration::from_millis(150);

struct Pair {
    proxy: FaultProxy,
    client: TcpStream,
    server: TcpStream,
    listener: TcpListener,
}

fn pair() -> Pair {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = FaultProxy::start().unwrap();
    proxy.forward_to(listener.local_addr().unwrap());
    let client = TcpStream::connect(proxy.address()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    Pair { proxy, client, server, listener }
}

fn receive(mut stream: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("the bytes arrive");
    bytes
}

fn expect_nothing(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(QUIET)).expect("a time");
    let error = stream.read(&mut [0]).expect_err("nothing arrives");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
}

fn expect_reset(mut stream: &TcpStream) {
    let error = stream.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn close_with_reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
}

#[test]
fn passes_bytes_and_ends_of_streams() {
    let mut pair = pair();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pair.client.write_all(&sent).unwrap();
            pair.client.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        pair.server.read_to_end(&mut got).unwrap();
        assert!(got == sent);
    });
    pair.server.write_all(b"answer").unwrap();
    drop(pair.server);
    let mut got = Vec::new();
    pair.client.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"answer");
    eventually("the connection is gone", || pair.proxy.counts().open == 0);
    let counts = pair.proxy.counts();
    assert_eq!(
        (counts.accepted, counts.to_server_bytes, counts.to_client_bytes),
        (1, 3_000_000, 6)
    );
}

#[test]
fn latency_delays_each_way() {
    let mut pair = pair();
    pair.proxy.latency(Duration::from_millis(60));
    let start = Instant::now();
    pair.client.write_all(b"ping").unwrap();
    receive(&pair.server, 4);
    pair.server.write_all(b"pong").unwrap();
    receive(&pair.client, 4);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(120), "{took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn throttle_limits_bytes_per_second() {
    let mut pair = pair();
    pair.proxy.throttle(Some(1_000_000));
    let start = Instant::now();
    pair.client.write_all(&vec![7; 500_000]).unwrap();
    receive(&pair.server, 500_000);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(450), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn cut_resets_both_sides_and_serves_new_connections() {
    let pair = pair();
    pair.proxy.cut();
    assert_eq!(pair.proxy.counts().open, 0);
    expect_reset(&pair.client);
    expect_reset(&pair.server);
    let mut client = TcpStream::connect(pair.proxy.address()).unwrap();
    let (server, _) = pair.listener.accept().unwrap();
    client.write_all(b"again").unwrap();
    assert_eq!(receive(&server, 5), b"again");
}

#[test]
fn a_cut_drops_what_is_held() {
    let mut pair = pair();
    pair.proxy.stall();
    pair.client.write_all(b"lost").unwrap();
    eventually("it is held", || pair.proxy.counts().held_to_server_bytes == 4);
    pair.proxy.cut();
    pair.proxy.resume();
    expect_reset(&pair.server);
    assert_eq!(pair.proxy.counts().held_to_server_bytes, 0);
}

#[test]
fn a_stall_holds_bytes_and_resume_delivers_them() {
    let mut pair = pair();
    pair.proxy.stall();
    pair.client.write_all(b"request").unwrap();
    pair.server.write_all(b"response").unwrap();
    expect_nothing(&pair.server);
    expect_nothing(&pair.client);
    let counts = pair.proxy.counts();
    assert_eq!((counts.held_to_server_bytes, counts.held_to_client_bytes), (7, 8));
    pair.proxy.resume();
    assert_eq!(receive(&pair.server, 7), b"request");
    assert_eq!(receive(&pair.client, 8), b"response");
}

#[test]
fn a_one_way_stall_lets_the_other_way_through() {
    let mut pair = pair();
    pair.proxy.stall_one_way(Direction::ToClient);
    pair.client.write_all(b"request").unwrap();
    assert_eq!(receive(&pair.server, 7), b"request");
    pair.server.write_all(b"response").unwrap();
    expect_nothing(&pair.client);
    pair.proxy.set_flow(Direction::ToClient, Flow::default());
    assert_eq!(receive(&pair.client, 8), b"response");
}

#[test]
fn what_a_client_had_sent_before_it_reset_is_not_delivered_late() {
    let mut pair = pair();
    pair.client.write_all(b"before").unwrap();
    assert_eq!(receive(&pair.server, 6), b"before");
    pair.proxy.stall();
    pair.client.write_all(b"zombie").unwrap();
    eventually("it is held", || pair.proxy.counts().held_to_server_bytes == 6);
    close_with_reset(pair.client);
    eventually("it is dropped", || pair.proxy.counts().held_to_server_bytes == 0);
    // A network that is down does not carry the reset either.
    expect_nothing(&pair.server);
    pair.proxy.resume();
    expect_reset(&pair.server);
    assert_eq!(pair.proxy.counts().to_server_bytes, 6);
}

#[test]
fn a_reset_first_seen_by_the_other_direction_counts_too() {
    let mut pair = pair();
    pair.proxy.stall_one_way(Direction::ToServer);
    pair.client.write_all(b"zombie").unwrap();
    eventually("it is held", || pair.proxy.counts().held_to_server_bytes == 6);
    // Unread bytes at the client make its close a reset; and the server goes on talking to it.
    close_with_reset(pair.client);
    for _ in 0..20 {
        pair.server.write_all(b"are you there?").unwrap();
    }
    eventually("it is dropped", || pair.proxy.counts().held_to_server_bytes == 0);
    expect_nothing(&pair.server);
    pair.proxy.resume();
    expect_reset(&pair.server);
    assert_eq!(pair.proxy.counts().to_server_bytes, 0);
}

#[test]
fn what_a_client_had_sent_before_it_ended_in_order_is_delivered_late() {
    let mut pair = pair();
    pair.proxy.stall();
    pair.client.write_all(b"last words").unwrap();
    drop(pair.client);
    expect_nothing(&pair.server);
    pair.proxy.resume();
    let mut got = Vec::new();
    pair.server.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"last words");
}

#[test]
fn a_full_proxy_stops_reading_and_still_sees_a_reset() {
    let mut pair = pair();
    pair.proxy.stall();
    pair.client.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let chunk = vec![1; 1024 * 1024];
    let mut sent = 0;
    while let Ok(count) = pair.client.write(&chunk) {
        sent += count;
        assert!(sent < HELD_BYTES_MAX + 64 * 1024 * 1024, "the proxy never stops reading");
    }
    let held = pair.proxy.counts().held_to_server_bytes;
    assert!((HELD_BYTES_MAX as u64..HELD_BYTES_MAX as u64 + 65_536).contains(&held), "{held}");
    close_with_reset(pair.client);
    eventually("it is dropped", || pair.proxy.counts().held_to_server_bytes == 0);
}

#[test]
fn refuse_turns_new_connections_away_and_keeps_old_ones() {
    let mut pair = pair();
    pair.proxy.refuse();
    let error = TcpStream::connect(pair.proxy.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    pair.client.write_all(b"still here").unwrap();
    assert_eq!(receive(&pair.server, 10), b"still here");
    pair.proxy.accept();
    TcpStream::connect(pair.proxy.address()).unwrap();
    pair.listener.accept().unwrap();
}

#[test]
fn without_a_server_there_is_a_reset() {
    let proxy = FaultProxy::start().unwrap();
    expect_reset(&TcpStream::connect(proxy.address()).unwrap());
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    proxy.forward_to(gone);
    expect_reset(&TcpStream::connect(proxy.address()).unwrap());
}
