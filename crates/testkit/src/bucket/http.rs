//! As much of HTTP/1.1 as clients of S3 speak.

use std::io::{self, BufRead, Read, Write};

/// Longest body that is taken, in bytes.
const BODY_BYTES_MAX: usize = 300 * 1024 * 1024;

/// What a client asks for.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the bucket, percent-decoded.
    pub(super) key: String,
    /// Names and values, percent-decoded.
    parameters: Vec<(String, String)>,
    /// The first and last byte.
    pub(super) range: Option<(usize, usize)>,
    pub(super) create_only: bool,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// `None` if the client has left, or sends something else.
    pub(super) fn read(input: &mut impl BufRead) -> Option<Request> {
        let line = line(input)?;
        let mut words = line.split(' ');
        let method = words.next()?.to_owned();
        let target = words.next()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key);
        let parameters = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decoded(name)?, decoded(value)?))
        });
        let mut request = Request {
            method,
            key: decoded(key)?,
            parameters: parameters.collect(),
            ..Request::default()
        };
        let mut body_bytes = 0;
        while let Some((name, value)) = self::line(input)?.split_once(':') {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => body_bytes = value.parse().ok()?,
                "if-none-match" => request.create_only = value == "*",
                "range" => {
                    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                    request.range = Some((first.parse().ok()?, last.parse().ok()?));
                }
                _ => {}
            }
        }
        if body_bytes > BODY_BYTES_MAX {
            return None;
        }
        request.body.resize(body_bytes, 0);
        input.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    /// A parameter of the query; empty if it is not there.
    pub(super) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A line without its end.
fn line(input: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let read = input.take(16 * 1024).read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        decoded.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        decoded.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(decoded).ok()
}

/// What a client is told.
#[derive(Debug)]
pub(super) struct Response {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

impl Response {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Response {
        Response { status: "200 OK", headers: String::new(), body: body.into() }
    }

    /// Anything that needs no body.
    pub(super) fn error(status: &'static str) -> Response {
        let code = status.split_once(' ').map_or("", |(_, name)| name).replace(' ', "");
        let body = match status {
            "204 No Content" => String::new(),
            _ => format!("<Error><Code>{code}</Code></Error>"),
        };
        Response { status, headers: String::new(), body: body.into() }
    }

    pub(super) fn object(object: &[u8], range: Option<(usize, usize)>) -> Response {
        let Some((first, last)) = range else { return Response::ok(object) };
        let last = last.min(object.len().saturating_sub(1));
        let Some(part) = object.get(first..=last) else {
            return Response::error("416 Range Not Satisfiable");
        };
        let headers = format!("Content-Range: bytes {first}-{last}/{}\r\n", object.len());
        Response { status: "206 Partial Content", headers, body: part.to_vec() }
    }

    pub(super) fn write_to(&self, output: &mut impl Write, request: &Request) -> io::Result<()> {
        let Self { status, headers, body } = self;
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"e\"\r\n\
             Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n{headers}\r\n",
            body.len(),
        )
        .into_bytes();
        if request.method != "HEAD" {
            bytes.extend_from_slice(body);
        }
        output.write_all(&bytes)
    }
}
