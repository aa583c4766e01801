//! The disk between runs.

use tokio::process::Command;

use crate::error::BenchError;

/// Waits until what earlier runs left in the page cache is on the disk. Otherwise the kernel writes
/// it while the next tool runs, on the same CPUs, and may hold up a broker's own writes.
pub(crate) async fn settle() -> Result<(), BenchError> {
    let status =
        Command::new("sync").status().await.map_err(BenchError::while_doing("cannot run sync"))?;
    if status.success() {
        Ok(())
    } else {
        Err(BenchError::new(format!("sync ended with {status}")))
    }
}
