//! What a process costs: CPU time and memory, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// Linux counts CPU time for user space in hundredths of a second on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// As [`cpu`] tells it.
    pub cpu: Duration,
    /// The most memory it had resident at any time (`VmHWM`).
    pub rss_bytes_peak: u64,
    /// The memory it has resident now (`VmRSS`).
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
            cpu: cpu(pid)?,
            rss_bytes_peak: memory(&status, "VmHWM:")?,
            rss_bytes: memory(&status, "VmRSS:")?,
        })
    }

    /// The CPU time used since an earlier look.
    pub fn cpu_since(&self, earlier: &Usage) -> Duration {
        self.cpu.saturating_sub(earlier.cpu)
    }
}

/// The CPU time of a process since its start, user and system: all its threads, living and ended,
/// and the children that it has waited for. One small file is read, so that a bench may look often.
///
/// # Errors
/// When there is no such process (any more).
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let ticks = parse_ticks(&fs::read_to_string(&path)?)
        .ok_or_else(|| io::Error::other(format!("{path} is not what proc(5) says")))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
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

/// Reads `/proc/<pid>/stat`. The second field, the name in parentheses, may contain anything.
fn parse_ticks(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(") ")?;
    // proc(5) counts from 1 and these start at the third: utime, stime, cutime, cstime are 14–17.
    let fields: Vec<&str> = rest.split_whitespace().skip(11).take(4).collect();
    let ticks: Result<Vec<u64>, _> = fields.iter().map(|field| field.parse()).collect();
    ticks.ok().filter(|ticks| ticks.len() == 4).map(|ticks| ticks.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 9 8 0 0 100 20 3 4 20 0 1 0 5 6 7";
        assert_eq!(parse_ticks(line), Some(127));
        assert_eq!(parse_ticks("7 (cut short) S 1 2 3"), None);
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
        assert!(Usage::of(u32::MAX).is_err() && cpu(u32::MAX).is_err());
    }
}
