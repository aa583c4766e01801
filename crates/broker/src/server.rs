//! Accepts connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::broker::Shared;
use crate::connection;
use crate::limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT};

/// Between attempts when the machine has no file descriptor to give.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts until `stop` turns true, then ends every connection.
pub(crate) async fn run(
    listener: TcpListener,
    broker: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stop.wait_for(|&stop| stop) => break,
        };
        let (stream, address): (_, SocketAddr) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%address, "connection refused: {CONNECTIONS_MAX} are open");
            continue;
        };
        let (broker, stop) = (Arc::clone(&broker), stop.clone());
        connections.spawn(async move {
            connection::run(broker, stream, address, stop).await;
            drop(place);
        });
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_TIMEOUT, ended).await.is_err() {
        tracing::warn!("connections did not end in {DRAIN_TIMEOUT:?} and were cut");
    }
}
