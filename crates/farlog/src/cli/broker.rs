//! `farlog broker`: one embedded cluster, until a signal.

mod store;
mod tokens;
mod ways_in;

use std::io::{self, Write};

use clap::Args;
use farlog_broker::{Broker, BrokerOptions, BrokerSettings};
use farlog_store::StoreError;
use indicatif::MultiProgress;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::store::{Opened, StoreArguments};
use super::Outcome;
use super::logging::LoggingArguments;
use crate::app::signals;
use tokens::KeyFollower;
pub use tokens::{KeySource, TokenArguments};
pub use ways_in::{Advertised, WaysIn};

/// Arguments of `farlog broker`.
#[derive(Debug, Args)]
pub struct BrokerArguments {
    /// Listeners and who may use them.
    #[command(flatten)]
    pub ways_in: WaysIn,
    /// Which tokens let clients in.
    #[command(flatten)]
    pub tokens: TokenArguments,
    /// Where records are kept.
    #[command(flatten)]
    pub store: StoreArguments,
    /// The broker's id.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    pub node_id: i32,
    /// The id of the cluster, if it is to have a certain one.
    #[arg(long, value_name = "ID")]
    pub cluster_id: Option<String>,
    /// Partitions of a topic whose creator does not say how many.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub default_partitions: i32,
    /// Refuse unknown topics instead of making them.
    #[arg(long)]
    pub no_auto_create_topics: bool,
    /// A setting under its name in Kafka, NAME=VALUE; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// How to log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

/// Serves until a signal. Prints the address on stdout once it listens.
///
/// # Errors
/// If output cannot be written.
pub fn run(arguments: &BrokerArguments) -> io::Result<Outcome> {
    let started = arguments.logging.start("info", &MultiProgress::new())?;
    if started != Outcome::Done {
        return Ok(started);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(arguments));
    runtime.shutdown_background();
    outcome
}

async fn serve(arguments: &BrokerArguments) -> io::Result<Outcome> {
    let mut signals = signals::listen()?;
    let (options, follower) = match options(arguments).await {
        Ok(found) => found,
        Err(why) => {
            writeln!(io::stderr(), "error: {why}")?;
            return Ok(Outcome::Usage);
        }
    };
    // The last one is dropped first.
    let Opened { recovered, scratch: _scratch, store } = match arguments.store.open().await {
        Ok(opened) => opened,
        Err(error) => {
            writeln!(io::stderr(), "error: {error}")?;
            return Ok(error.outcome());
        }
    };
    let options = BrokerOptions { store: store.clone(), recovered, ..options };
    let broker = match Broker::open(options).await {
        Ok(broker) => broker,
        Err(error) => {
            writeln!(io::stderr(), "error: {error}")?;
            return Ok(Outcome::Machine);
        }
    };
    // Ends with this function.
    let mut following = JoinSet::new();
    if let Some(follower) = follower {
        following.spawn(follower.follow());
    }
    let handle = broker.handle();
    let (address, cluster_id) = (handle.address(), handle.cluster_id());
    tracing::info!("cluster {cluster_id} at {address}; {}", arguments.store.place());
    for address in handle.addresses() {
        writeln!(io::stdout(), "{address}")?;
    }
    let (stop, stopping) = watch::channel(false);
    let mut serving = tokio::spawn(broker.run(stopping));
    tokio::select! {
        Some(signal) = signals.recv() => tracing::info!("{}: stopping", signal.name()),
        ended = &mut serving => {
            if let Err(error) = ended {
                tracing::error!(%error, "the broker failed");
            }
            return Ok(Outcome::Failed);
        }
        why @ StoreError::Fenced { .. } = store.refusal() => {
            // Clients look for the other one when their connections end.
            serving.abort();
            writeln!(io::stderr(), "error: {why}")?;
            return Ok(Outcome::Failed);
        }
    }
    stop.send_replace(true);
    tokio::select! {
        _ = &mut serving => Ok(Outcome::Done),
        Some(signal) = signals.recv() => Ok(signal.exit()),
    }
}

/// All but the store, and who looks for new keys.
async fn options(
    arguments: &BrokerArguments,
) -> Result<(BrokerOptions, Option<KeyFollower>), String> {
    let ways_in = &arguments.ways_in;
    let (tokens, follower) = arguments.tokens.options().await?.unzip();
    arguments.tokens.warn();
    let options = BrokerOptions {
        settings: settings(&arguments.set).map_err(|why| format!("--set: {why}"))?,
        listeners: ways_in.listeners()?,
        security: ways_in.security(tokens)?,
        node_id: arguments.node_id,
        cluster_id: arguments.cluster_id.clone(),
        default_partitions: arguments.default_partitions,
        auto_create_topics: !arguments.no_auto_create_topics,
        ..BrokerOptions::in_memory(ways_in.first_address())
    };
    Ok((options, follower.flatten()))
}

fn settings(set: &[String]) -> Result<BrokerSettings, String> {
    let mut settings = BrokerSettings::default();
    for pair in set {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| format!("{pair} is not NAME=VALUE"))?;
        settings.set(name, value).map_err(|error| error.to_string())?;
    }
    Ok(settings)
}
