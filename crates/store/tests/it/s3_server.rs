//! As much of S3 as a store uses, over HTTP on loopback, with bad weather: every few requests one
//! is answered 503, one is done and answered 503, one is done and its connection closed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    requests: AtomicUsize,
    pub(crate) faults: AtomicUsize,
}

#[derive(Debug, Default)]
struct Request {
    method: String,
    /// Without the bucket, percent-decoded.
    key: String,
    query: String,
    /// The first and last byte.
    range: Option<(usize, usize)>,
    create_only: bool,
    body: Vec<u8>,
}

struct Response {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

impl Response {
    fn new(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: String::new(), body: body.into() }
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                tokio::spawn(async move { serve(connection, &state).await });
            }
        });
        Self { address, state }
    }
}

async fn serve(connection: TcpStream, state: &State) {
    let mut connection = BufReader::new(connection);
    while let Some(request) = read(&mut connection).await {
        let weather = state.requests.fetch_add(1, Ordering::SeqCst) % 15;
        let slow_down = || Response::new("503 Slow Down", "<Error><Code>SlowDown</Code></Error>");
        let response = if weather == 4 { slow_down() } else { state.answer(&request) };
        let response = if weather == 9 { slow_down() } else { response };
        state.faults.fetch_add(usize::from([4, 9, 14].contains(&weather)), Ordering::SeqCst);
        if weather == 14 {
            return;
        }
        let mut bytes = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\nETag: \"e\"\r\n\
             Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n{}\r\n",
            response.status,
            response.body.len(),
            response.headers
        )
        .into_bytes();
        bytes.extend_from_slice(&response.body);
        if connection.get_mut().write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(connection: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if connection.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split(' ');
    let method = words.next()?.to_owned();
    let (path, query) = words.next().map(|path| path.split_once('?').unwrap_or((path, "")))?;
    let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key);
    let (key, query) = (decoded(key), decoded(query));
    let mut request = Request { method, key, query, ..Request::default() };
    let mut body_bytes = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body_bytes = value.parse().unwrap(),
            "if-none-match" => request.create_only = value == "*",
            "range" => {
                let (first, last) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                request.range = Some((first.parse().unwrap(), last.parse().unwrap()));
            }
            _ => {}
        }
    }
    request.body.resize(body_bytes, 0);
    connection.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

impl State {
    fn answer(&self, request: &Request) -> Response {
        let mut objects = self.objects.lock().unwrap();
        match request.method.as_str() {
            "PUT" if request.create_only && objects.contains_key(&request.key) => {
                Response::new("412 Precondition Failed", "")
            }
            "PUT" => {
                objects.insert(request.key.clone(), request.body.clone());
                Response::new("200 OK", "")
            }
            "GET" if request.key.is_empty() => {
                let asked = request.query.split('&').find_map(|one| one.strip_prefix("prefix="));
                Response::new("200 OK", listing(&objects, asked.unwrap_or_default()))
            }
            "GET" => {
                let Some(object) = objects.get(&request.key) else {
                    return Response::new("404 Not Found", "");
                };
                let Some((first, last)) = request.range else {
                    return Response::new("200 OK", object.clone());
                };
                let last = last.min(object.len() - 1);
                let mut response = Response::new("206 Partial Content", &object[first..=last]);
                response.headers =
                    format!("Content-Range: bytes {first}-{last}/{}\r\n", object.len());
                response
            }
            "POST" => {
                let body = String::from_utf8(request.body.clone()).unwrap();
                let mut answer = String::from("<DeleteResult>");
                for key in body.split("<Key>").skip(1) {
                    let (key, _) = key.split_once("</Key>").unwrap();
                    objects.remove(key);
                    write!(answer, "<Deleted><Key>{key}</Key></Deleted>").unwrap();
                }
                Response::new("200 OK", answer + "</DeleteResult>")
            }
            "DELETE" => {
                objects.remove(&request.key);
                Response::new("204 No Content", "")
            }
            method => panic!("{method} is not needed"),
        }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

fn listing(objects: &BTreeMap<String, Vec<u8>>, prefix: &str) -> String {
    let mut list = String::from("<ListBucketResult>");
    for (key, object) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        write!(
            list,
            "<Contents><Key>{key}</Key><Size>{}</Size>\
             <LastModified>2026-11-21T12:00:00.000Z</LastModified><ETag>\"e\"</ETag></Contents>",
            object.len()
        )
        .unwrap();
    }
    list + "</ListBucketResult>"
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        decoded.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        decoded.push_str(rest);
    }
    decoded
}
