//! The proxy's thread: listens, or does not, and relays each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::conditions::{Conditions, Ledger};
use super::relay;

/// Between two attempts to listen again on a port that something else holds for the moment.
const LISTEN_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Server {
    address: SocketAddr,
    conditions: watch::Receiver<Conditions>,
    ledger: Arc<Ledger>,
}

impl Server {
    pub(super) fn new(
        address: SocketAddr,
        conditions: watch::Receiver<Conditions>,
        ledger: Arc<Ledger>,
    ) -> Server {
        Server { address, conditions, ledger }
    }

    /// Serves until the owner is gone. Returning drops the runtime and with it every connection.
    pub(super) async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let now = *self.conditions.borrow_and_update();
            if now.ended {
                return;
            }
            match (now.refuse, &listener) {
                (true, Some(_)) => {
                    listener = None;
                    self.ledger.listening(false);
                }
                (false, None) => {
                    listener = Some(self.listen().await);
                    self.ledger.listening(true);
                }
                _ => {}
            }
            tokio::select! {
                changed = self.conditions.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(client) = accept(listener.as_ref()) => self.serve(client),
            }
        }
    }

    async fn listen(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => return listener,
                Err(error) => eprintln!("proxy: cannot listen on {}: {error}", self.address),
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    fn serve(&self, client: TcpStream) {
        let mut conditions = self.conditions.clone();
        let ledger = Arc::clone(&self.ledger);
        let now = *conditions.borrow_and_update();
        ledger.opened(now.cuts);
        tokio::spawn(async move {
            let server = match now.upstream {
                Some(address) => TcpStream::connect(address).await.ok(),
                None => None,
            };
            match server {
                Some(server) => {
                    relay::run(client, server, conditions, now.cuts, &ledger).await;
                }
                None => relay::reset(client),
            }
            ledger.closed(now.cuts);
        });
    }
}

/// The next connection; waits forever if nobody listens. A failed accept (the client was gone
/// before we looked) is no connection.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}
