//! What a process costs: CPU time and memory, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

/// Linux counts CPU time for user space in hundredths of a second on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, user and system, of the process and all its descendants, dead or alive.
    pub cpu: Duration,
    /// The most memory it had resident at any time (`VmHWM`), without descendants.
    pub rss_bytes_peak: u64,
    /// The memory it has resident now (`VmRSS`), without descendants.
    pub rss_bytes: u64,
}

impl Usage {
    /// Reads them for a process.
    ///
    /// # Errors
    /// When there is no such process (any more).
    pub fn of(pid: u32) -> io::Result<Usage> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Usage {
            cpu: cpu_of_tree(pid)?,
            rss_bytes_peak: memory(&status, "VmHWM:")?,
            rss_bytes: memory(&status, "VmRSS:")?,
        })
    }

    /// The CPU time used since an earlier look.
    pub fn cpu_since(&self, earlier: &Usage) -> Duration {
        self.cpu.saturating_sub(earlier.cpu)
    }
}

/// One line of `/proc/<pid>/status`, in bytes.
fn memory(status: &str, field: &str) -> io::Result<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no {field} line: a dead process?"))
        })
}

/// A process's parent, and the ticks it and its dead children have used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

/// Reads `/proc/<pid>/stat`. The second field, the name in parentheses, may contain anything.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // proc(5) counts from 1 and these start at the third: utime, stime, cutime, cstime are 14–17.
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks: ticks.sum::<Result<u64, _>>().ok()? })
}

fn cpu_of_tree(pid: u32) -> io::Result<Duration> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ends while we look is counted with its parent from now on.
        let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(stat) = parse_stat(&text) {
            all.insert(pid, stat);
        }
    }
    if !all.contains_key(&pid) {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("no process {pid}")));
    }
    let mut ticks = 0;
    let mut tree = vec![pid];
    while let Some(member) = tree.pop() {
        ticks += all.get(&member).map_or(0, |stat| stat.ticks);
        tree.extend(all.iter().filter(|(_, stat)| stat.parent == member).map(|(pid, _)| *pid));
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 9 8 0 0 100 20 3 4 20 0 1 0 5 6 7";
        assert_eq!(parse_stat(line), Some(Stat { parent: 7, ticks: 127 }));
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn our_own_usage_is_plausible() {
        let before = Usage::of(std::process::id()).unwrap();
        assert!(before.rss_bytes > 500_000 && before.rss_bytes_peak >= before.rss_bytes);
        // A child's time counts as ours once it has ended.
        let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        let after = Usage::of(std::process::id()).unwrap();
        assert!(after.cpu_since(&before) >= Duration::from_millis(50), "{after:?}");
    }

    #[test]
    fn there_is_no_usage_of_nobody() {
        assert!(Usage::of(u32::MAX).is_err());
    }
}
