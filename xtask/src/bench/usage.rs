//! What a process has used, from `/proc`: CPU time of all its threads, and peak memory.

use std::fs;
use std::ops::Sub;

use crate::command::Failure;

/// `/proc` counts CPU time in these; `USER_HZ` is 100 on every Linux architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds, user and system together, of a process with all its threads since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(crate) struct CpuSeconds(pub(crate) f64);

impl Sub for CpuSeconds {
    type Output = CpuSeconds;

    fn sub(self, earlier: CpuSeconds) -> CpuSeconds {
        CpuSeconds(self.0 - earlier.0)
    }
}

/// CPU time used so far by a process, living and ended threads alike.
pub(crate) fn cpu(pid: u32) -> Result<CpuSeconds, Failure> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(Failure::while_doing(&path))?;
    parse_cpu(&stat).ok_or_else(|| Failure::new(format!("{path} is not what proc(5) says")))
}

/// The most memory a process ever had in RAM (`VmHWM`), in bytes.
pub(crate) fn peak_memory_bytes(pid: u32) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(Failure::while_doing(&path))?;
    parse_memory(&status, "VmHWM:")
        .ok_or_else(|| Failure::new(format!("{path} is not what proc(5) says")))
}

/// What a process has in RAM now (`VmRSS`), in bytes.
pub(crate) fn memory_bytes(pid: u32) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(Failure::while_doing(&path))?;
    parse_memory(&status, "VmRSS:")
        .ok_or_else(|| Failure::new(format!("{path} is not what proc(5) says")))
}

/// Fields 14 and 15 of `/proc/PID/stat`. The name (field 2) may hold blanks and parentheses.
fn parse_cpu(stat: &str) -> Option<CpuSeconds> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(CpuSeconds((user + system) as f64 / TICKS_PER_SECOND))
}

fn parse_memory(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 9 9 20 0 3 0 1 2 3";
        assert_eq!(parse_cpu(stat), Some(CpuSeconds(2.0)));
        assert_eq!(parse_cpu("7 (cut short) S 1"), None);
    }

    #[test]
    fn peak_memory_is_in_bytes() {
        let status = "Name:\tfarlog\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(parse_memory(status, "VmHWM:"), Some(2 * 1024 * 1024));
        assert_eq!(parse_memory(status, "VmRSS:"), Some(1024));
        assert_eq!(parse_memory("Name:\tkthreadd\n", "VmHWM:"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        assert!(cpu(std::process::id()).is_ok());
        assert!(peak_memory_bytes(std::process::id()).unwrap() > 1024 * 1024);
        assert!(cpu(u32::MAX).is_err());
    }
}
