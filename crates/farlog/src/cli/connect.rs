//! The clusters of a command that asks them something.

use std::time::Duration;

use farlog_client::Cluster;

use super::Outcome;
use crate::app::clusters;
use crate::settings::topology::Topology;

/// How long to try to reach a cluster. Somebody is waiting.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to a cluster of the settings; `Err` holds what to end with, and what to say.
pub(super) async fn connect(
    topology: &Topology,
    alias: &str,
) -> Result<Cluster, (Outcome, String)> {
    let Some(settings) = topology.clusters.get(alias) else {
        return Err((Outcome::Usage, format!("no cluster is called {alias}")));
    };
    let mut options = clusters::options(settings)
        .map_err(|error| (Outcome::Usage, format!("cluster {alias}: {error}")))?;
    options.retry.give_up_after = CONNECT_TIMEOUT;
    let hint = settings.when_unreachable();
    Cluster::connect(options)
        .await
        .map_err(|error| (Outcome::Unavailable, format!("cluster {alias}: {error}{hint}")))
}
