//! Secrets that change while the process runs: the settings file is read again every few seconds,
//! with all files that it names, and clusters take over new passwords and certificates from their
//! next connection on.
//!
//! Nothing else of the file is taken over: a new address or another link needs a restart, and a
//! cluster whose addresses differ from those in use keeps its secrets, too, since the new ones are
//! for somewhere else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::clusters::SharedCluster;
use crate::settings::topology::{ClusterSettings, SecuritySettings};
use crate::settings::{LoadOptions, load_file};

/// How often the files are read.
pub const ROTATION_INTERVAL: Duration = Duration::from_secs(10);

/// What changed must be the same after this: somebody may be writing just now.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// The clusters of a readable and accepted file; else why not, in a sentence without secrets.
type Seen = Result<BTreeMap<String, ClusterSettings>, String>;

/// Watches a settings file for new secrets.
#[derive(Debug)]
pub struct Rotation {
    file: PathBuf,
    clusters: BTreeMap<String, Watched>,
    /// Told when there are new secrets: who waits after a failure may try again.
    nudge: Arc<Notify>,
    /// The file cannot be used, and that was told.
    unusable: bool,
}

/// A cluster, with the settings in use.
#[derive(Debug)]
struct Watched {
    settings: ClusterSettings,
    cluster: Arc<SharedCluster>,
    /// The file has other addresses, and that was told.
    moved: bool,
}

// === impl Rotation ===

impl Rotation {
    /// Of the clusters that were built from a file.
    pub fn new(
        file: PathBuf,
        settings: &BTreeMap<String, ClusterSettings>,
        clusters: &BTreeMap<String, Arc<SharedCluster>>,
        nudge: Arc<Notify>,
    ) -> Rotation {
        let watched = |(alias, cluster): (&String, &Arc<SharedCluster>)| {
            let (settings, cluster) = (settings.get(alias)?.clone(), Arc::clone(cluster));
            Some((alias.clone(), Watched { settings, cluster, moved: false }))
        };
        let clusters = clusters.iter().filter_map(watched).collect();
        Rotation { file, clusters, nudge, unusable: false }
    }

    /// Looks again and again; never ends by itself.
    pub async fn run(mut self) {
        loop {
            sleep(ROTATION_INTERVAL).await;
            let seen = self.read().await;
            let settled = match &seen {
                Ok(clusters) if !self.brings_news(clusters) => seen,
                // A file half written is often no file at all, so neither is believed at once.
                _ => {
                    sleep(SETTLE_TIME).await;
                    let again = self.read().await;
                    if again != seen {
                        continue;
                    }
                    again
                }
            };
            self.take(settled);
        }
    }

    /// Reads the file on a thread that may wait for a disk.
    async fn read(&self) -> Seen {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        read.unwrap_or_else(|defect| Err(format!("reading it failed: {defect}")))
    }

    fn brings_news(&self, seen: &BTreeMap<String, ClusterSettings>) -> bool {
        self.clusters.iter().any(|(alias, watched)| {
            seen.get(alias).is_some_and(|new| new.security != watched.settings.security)
        })
    }

    /// Takes over what is new, and says so.
    fn take(&mut self, seen: Seen) {
        let file = self.file.display();
        let clusters = match seen {
            Ok(clusters) => clusters,
            Err(why) => {
                if !self.unusable {
                    tracing::warn!(
                        %file, why,
                        "the settings file cannot be read again: secrets stay as they are"
                    );
                }
                self.unusable = true;
                return;
            }
        };
        if std::mem::take(&mut self.unusable) {
            tracing::info!(%file, "the settings file can be read again");
        }
        let mut taken = false;
        for (alias, watched) in &mut self.clusters {
            taken |= clusters.get(alias).is_some_and(|new| watched.take(alias, new));
        }
        if taken {
            self.nudge.notify_waiters();
        }
    }
}

// === impl Watched ===

impl Watched {
    /// Takes over new secrets; whether there were any.
    fn take(&mut self, cluster: &str, new: &ClusterSettings) -> bool {
        let moved = new.bootstrap_servers != self.settings.bootstrap_servers;
        if moved && !self.moved {
            tracing::warn!(
                cluster,
                "the settings file has other bootstrap servers now: a restart takes them over, \
                 and secrets with them"
            );
        }
        self.moved = moved;
        if moved || new.security == self.settings.security {
            return false;
        }
        let what = difference(&self.settings.security, &new.security);
        match self.cluster.set_security(&new.security) {
            Ok(()) => {
                tracing::info!(cluster, "new {what}: used from the next connection on");
                self.settings.security = new.security.clone();
                true
            }
            // The file was accepted, so this is about the system's own certificates.
            Err(error) => {
                tracing::warn!(cluster, %error, "new {what} cannot be used");
                false
            }
        }
    }
}

/// What differs, by name: the values are secret.
fn difference(old: &SecuritySettings, new: &SecuritySettings) -> &'static str {
    match (old.sasl != new.sasl, old.tls != new.tls) {
        (true, true) => "credentials and certificates",
        (true, false) => "credentials",
        (false, _) => "certificates",
    }
}

fn read(file: &Path) -> Seen {
    let loaded = load_file(file, &LoadOptions::default()).map_err(|error| error.to_string())?;
    if !loaded.is_accepted() {
        let counts = loaded.report.summary().unwrap_or_default();
        return Err(format!("it is refused, {counts}; `farlog check` says more"));
    }
    Ok(loaded.topology.clusters)
}

#[cfg(test)]
mod tests;
