//! Loopback ports that stay ours while a server is down.
//!
//! A broker is told its port before it starts and must find it free again after a restart. A port
//! the kernel picks (`bind` to port 0) is in the range of which it also takes the local ports of
//! outgoing connections, so it may be gone by then. Ports here come from below that range, and a
//! lock file per port keeps other test processes away from it.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const LOWEST: u16 = 10_000;
/// Linux takes the ports of outgoing connections from here on (`ip_local_port_range`).
const END: u16 = 32_000;

/// The right to listen on a port, until dropped.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    _lock: File,
}

impl PortLease {
    /// Finds a port nobody listens on and no other test process holds.
    ///
    /// # Errors
    /// When the lock directory cannot be written, or every port is taken.
    pub fn take() -> io::Result<PortLease> {
        let directory = lock_directory();
        fs::create_dir_all(&directory)?;
        // Each search starts elsewhere so that they rarely meet; the locks decide when they do.
        let start = RandomState::new().build_hasher().finish();
        for turn in 0..u64::from(END - LOWEST) {
            let step = start.wrapping_add(turn) % u64::from(END - LOWEST);
            let port = LOWEST + u16::try_from(step).expect("less than END - LOWEST");
            if let Some(lease) = PortLease::try_take(&directory, port)? {
                return Ok(lease);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every test port is taken"))
    }

    fn try_take(directory: &Path, port: u16) -> io::Result<Option<PortLease>> {
        let path = directory.join(port.to_string());
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        if lock.try_lock().is_err() || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Ok(None);
        }
        Ok(Some(PortLease { port, _lock: lock }))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:<port>`, as Kafka's settings want it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Each user has one: nobody may write to another's.
fn lock_directory() -> PathBuf {
    let user = fs::metadata("/proc/self").map_or(0, |process| process.uid());
    std::env::temp_dir().join(format!("farlog-ports-{user}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn leases_are_distinct_and_can_be_listened_on() {
        let leases: Vec<_> = (0..20).map(|_| PortLease::take().unwrap()).collect();
        let ports: HashSet<u16> = leases.iter().map(PortLease::port).collect();
        assert_eq!(ports.len(), 20);
        for lease in &leases {
            TcpListener::bind((Ipv4Addr::LOCALHOST, lease.port())).unwrap();
        }
    }

    #[test]
    fn a_port_is_free_again_after_its_lease() {
        let lease = PortLease::take().unwrap();
        let port = lease.port();
        assert!(PortLease::try_take(&lock_directory(), port).unwrap().is_none());
        drop(lease);
        assert!(PortLease::try_take(&lock_directory(), port).unwrap().is_some());
    }
}
