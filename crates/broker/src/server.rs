//! Accepts connections, on every listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
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
    sockets: Vec<TcpListener>,
    broker: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = sockets.into_iter().enumerate().map(|(listener, socket)| {
        accept(socket, listener, Arc::clone(&places), Arc::clone(&broker), stop.clone())
    });
    join_all(accepting).await;
}

async fn accept(
    socket: TcpListener,
    listener: usize,
    places: Arc<Semaphore>,
    broker: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
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
            connection::run(broker, stream, (listener, address), stop).await;
            drop(place);
        });
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_TIMEOUT, ended).await.is_err() {
        tracing::warn!("connections did not end in {DRAIN_TIMEOUT:?} and were cut");
    }
}
