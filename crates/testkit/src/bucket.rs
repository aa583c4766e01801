//! As much of S3 as an object store needs, in memory, over HTTP on loopback, and with whatever
//! weather it is told to have.
//!
//! It is as strict as S3 where it matters: one request after the other decides whether an object of
//! a name is there (`If-None-Match: *`), and what was answered is what later requests see. It does
//! not look at signatures.

mod http;
mod weather;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use self::http::{Request, Response};
use self::weather::Fate;
pub use self::weather::{Faults, Weather};
use crate::history::random::Random;

/// Objects of one page of a listing: few, so that tests see several pages.
const PAGE_OBJECTS_MAX: usize = 100;

/// The server; it ends with this.
#[derive(Debug)]
pub struct Bucket {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// How often something was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Objects made, or refused because they were there.
    pub put: u64,
    /// Objects, or parts of them, read.
    pub get: u64,
    /// Objects only looked for.
    pub head: u64,
    /// Pages of listings.
    pub list: u64,
    /// Deletions, of up to a thousand objects each.
    pub delete: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    weather: Weather,
    random: Random,
    requests: Requests,
    faults: Faults,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    /// Starts one with fair weather; the seed decides what becomes of each request later.
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub fn start(seed: u64) -> io::Result<Bucket> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = State {
            objects: BTreeMap::new(),
            weather: Weather::default(),
            random: Random::new(seed),
            requests: Requests::default(),
            faults: Faults::default(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), ended: AtomicBool::new(false) });
        let accepting = Arc::clone(&shared);
        let named = |what: &str| thread::Builder::new().name(format!("bucket-{what}"));
        named("accept").spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // A connection that cannot be served is as one that was lost.
                let _ = named("serve").spawn(move || serve(connection, &shared));
            }
        })?;
        Ok(Bucket { address, shared })
    }

    /// What a client needs besides the bucket's name, by the names of AWS's environment.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_REGION", "nowhere".to_owned()),
            ("AWS_ACCESS_KEY_ID", "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "key".to_owned()),
        ]
    }

    /// From now on it is like this.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.lock().weather = weather;
    }

    /// The names of all objects, in order.
    pub fn keys(&self) -> Vec<String> {
        self.shared.lock().objects.keys().cloned().collect()
    }

    /// What has been asked for so far, whatever became of it.
    pub fn requests(&self) -> Requests {
        self.shared.lock().requests
    }

    /// What has gone wrong so far.
    pub fn faults(&self) -> Faults {
        self.shared.lock().faults
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Ends the wait for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(connection: TcpStream, shared: &Shared) {
    let Ok(mut output) = connection.try_clone() else { return };
    let mut input = BufReader::new(connection);
    while let Some(request) = Request::read(&mut input) {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let (fate, delay) = {
            let mut state = shared.lock();
            state.requests.count(&request);
            let State { weather, random, faults, .. } = &mut *state;
            weather.decide(random, faults)
        };
        thread::sleep(delay);
        let answer = || shared.lock().answer(&request);
        let response = match fate {
            Fate::Answered => answer(),
            Fate::Refused(status) => Response::error(status),
            Fate::DoneAndRefused(status) => {
                answer();
                Response::error(status)
            }
            Fate::DoneAndLost => {
                answer();
                return;
            }
            Fate::Lost => return,
        };
        if response.write_to(&mut output, &request).is_err() {
            return;
        }
    }
}

impl Requests {
    fn count(&mut self, request: &Request) {
        let counted = match request.method.as_str() {
            "PUT" => &mut self.put,
            "GET" if request.key.is_empty() => &mut self.list,
            "GET" => &mut self.get,
            "HEAD" => &mut self.head,
            _ => &mut self.delete,
        };
        *counted += 1;
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        match request.method.as_str() {
            "PUT" if request.create_only && self.objects.contains_key(&request.key) => {
                Response::error("412 Precondition Failed")
            }
            "PUT" => {
                self.objects.insert(request.key.clone(), request.body.clone());
                Response::ok("")
            }
            "GET" if request.key.is_empty() => Response::ok(self.listing(request)),
            "GET" | "HEAD" => match self.objects.get(&request.key) {
                None => Response::error("404 Not Found"),
                Some(object) => Response::object(object, request.range),
            },
            "POST" => {
                let body = String::from_utf8_lossy(&request.body);
                let mut answer = String::from("<DeleteResult>");
                for key in body.split("<Key>").skip(1) {
                    let key = key.split("</Key>").next().unwrap_or_default();
                    self.objects.remove(key);
                    // Writing to a String cannot fail.
                    let _ = write!(answer, "<Deleted><Key>{key}</Key></Deleted>");
                }
                Response::ok(answer + "</DeleteResult>")
            }
            "DELETE" => {
                self.objects.remove(&request.key);
                Response::error("204 No Content")
            }
            _ => Response::error("501 Not Implemented"),
        }
    }

    fn listing(&self, request: &Request) -> String {
        let prefix = request.parameter("prefix");
        let after = request.parameter("start-after").max(request.parameter("continuation-token"));
        let matching = |key: &&String| key.starts_with(prefix) && key.as_str() > after;
        let mut keys = self.objects.keys().filter(matching).peekable();
        let mut list = String::from("<ListBucketResult>");
        let mut last = "";
        for key in keys.by_ref().take(PAGE_OBJECTS_MAX) {
            last = key;
            let size = self.objects.get(key).map_or(0, Vec::len);
            let _ = write!(
                list,
                "<Contents><Key>{key}</Key><Size>{size}</Size>\
                 <LastModified>2026-11-21T12:00:00.000Z</LastModified>\
                 <ETag>\"e\"</ETag></Contents>"
            );
        }
        if keys.peek().is_some() {
            let token = "NextContinuationToken";
            let _ = write!(list, "<IsTruncated>true</IsTruncated><{token}>{last}</{token}>");
        }
        list + "</ListBucketResult>"
    }
}
