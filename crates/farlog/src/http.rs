//! The HTTP endpoints of a running Farlog: metrics, health and status. Read only.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::statuses::Statuses;
use crate::metrics::{self, Metrics};
use crate::render::view::{StatusView, link_state_name};
use farlog_link::status::LinkState;

/// Where to listen, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Here.
    On(SocketAddr),
    /// Nowhere.
    Nowhere,
}

/// A text that says nowhere and names no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address to listen on: write IP:PORT, as 127.0.0.1:9464, or `none`")]
pub struct ListenError {
    /// The text.
    pub text: String,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for metrics and health: {}", explain(.source))]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Bound, and not yet serving.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

#[derive(Debug)]
struct Shared {
    statuses: Statuses,
    metrics: Metrics,
}

// === impl Listen ===

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if text == "none" {
            return Ok(Self::Nowhere);
        }
        text.parse().map(Self::On).map_err(|_| ListenError { text: text.to_owned() })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(address) => address.fmt(f),
            Self::Nowhere => f.write_str("none"),
        }
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there (another farlog?); choose another address with \
             --listen, or none with --listen none"
                .to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "not permitted; ports below 1024 need privileges".to_owned()
        }
        _ => error.to_string(),
    }
}

// === impl HttpServer ===

impl HttpServer {
    /// Takes the address; port 0 takes any free one.
    pub async fn bind(
        address: SocketAddr,
        statuses: Statuses,
        started_ms: i64,
    ) -> Result<Self, BindError> {
        let bind_error = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let metrics = Metrics::new(statuses.clone(), started_ms);
        let router = router(Arc::new(Shared { statuses, metrics }));
        Ok(Self { listener, address, router })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` turns true; requests under way are answered.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
        let until = async move {
            // A sender that is gone is a shutdown too.
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        axum::serve(self.listener, self.router).with_graceful_shutdown(until).await
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(serve_metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/status", get(status))
        .with_state(shared)
}

async fn index() -> &'static str {
    concat!(
        "farlog ",
        env!("CARGO_PKG_VERSION"),
        "\n\n",
        "/metrics        for Prometheus\n",
        "/status         every link and partition, as JSON\n",
        "/health/live    200 while the process works\n",
        "/health/ready   200 while every link is active or stands by\n",
    )
}

async fn serve_metrics(State(shared): State<Arc<Shared>>) -> Response {
    match shared.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n").into_response()
        }
    }
}

async fn live() -> &'static str {
    "alive\n"
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let snapshot = shared.statuses.now();
    let is_up = |state| matches!(state, LinkState::Active | LinkState::Standby);
    let mut text = String::new();
    for link in snapshot.links.iter().filter(|link| !is_up(link.state)) {
        let state = link_state_name(link.state);
        let why = if link.why.is_empty() { String::new() } else { format!(": {}", link.why) };
        text.push_str(&format!("{}: {state}{why}\n", link.link));
    }
    if text.is_empty() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    let snapshot = shared.statuses.now();
    let view = StatusView::of(&snapshot.links, snapshot.at_ms);
    axum::Json(view).into_response()
}

#[cfg(test)]
mod tests;
