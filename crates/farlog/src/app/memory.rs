//! The memory of the process, divided among its links before they start.
//!
//! The division is static on purpose. If links drew from one common budget, one whose target hangs
//! would fill it with batches that nobody acknowledges, and starve all the others.

use farlog_link::LinkOptions;
use farlog_link::limits::{FETCH_BYTES_MAX, FETCH_PARTITION_BYTES_MAX, MEMORY_BYTES};

use crate::settings::topology::LinkLimits;

/// Bytes that all links together may have fetched and not yet acknowledged.
pub const PROCESS_MEMORY_BYTES: usize = 96 * 1024 * 1024;

/// The part of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Bytes that may be fetched and not yet acknowledged.
    pub memory_bytes: usize,
    /// Bytes asked of one broker in one fetch.
    pub fetch_bytes_max: i32,
    /// Bytes asked of one partition in one fetch.
    pub fetch_partition_bytes_max: i32,
}

/// Divides [`PROCESS_MEMORY_BYTES`]: links that say how much they need get it, the others divide
/// what is left evenly. None of them gets more than the link's default, and none less than one
/// fetch.
pub fn divide(links: &[LinkLimits]) -> Vec<Share> {
    let taken: u64 =
        links.iter().filter_map(|limits| limits.memory_bytes).fold(0, u64::saturating_add);
    let others = links.iter().filter(|limits| limits.memory_bytes.is_none()).count();
    let left = PROCESS_MEMORY_BYTES.saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX));
    let even = (left / others.max(1)).min(MEMORY_BYTES);
    links.iter().map(|limits| Share::of(limits, even)).collect()
}

// === impl Share ===

impl Share {
    /// Of a link that gets `even` bytes unless it says otherwise.
    fn of(limits: &LinkLimits, even: usize) -> Share {
        let fetch_partition_bytes_max =
            limits.fetch_partition_bytes.map_or(FETCH_PARTITION_BYTES_MAX, bytes);
        let asked = limits.fetch_bytes.map(bytes);
        let one_fetch = asked.unwrap_or(fetch_partition_bytes_max);
        let memory_bytes = match limits.memory_bytes {
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            None => even.max(usize::try_from(one_fetch).unwrap_or(usize::MAX)),
        };
        let fetch_bytes_max =
            asked.unwrap_or_else(|| FETCH_BYTES_MAX.max(fetch_partition_bytes_max));
        Share { memory_bytes, fetch_bytes_max, fetch_partition_bytes_max }
    }

    /// Has a link keep to its part.
    pub fn give_to(self, options: &mut LinkOptions) {
        options.memory_bytes = self.memory_bytes;
        options.fetch_bytes_max = self.fetch_bytes_max;
        options.fetch_partition_bytes_max = self.fetch_partition_bytes_max;
    }
}

/// A size of the settings as the protocol counts it.
fn bytes(size: u64) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn shares(memory_mib: &[Option<u64>]) -> Vec<usize> {
        let limits: Vec<LinkLimits> = memory_mib
            .iter()
            .map(|mib| LinkLimits {
                memory_bytes: mib.map(|mib| mib << 20),
                ..LinkLimits::default()
            })
            .collect();
        divide(&limits).iter().map(|share| share.memory_bytes).collect()
    }

    #[test]
    fn a_few_links_have_the_default() {
        assert_eq!(divide(&[]), []);
        for count in 1..=8 {
            assert_eq!(shares(&vec![None; count]), vec![MEMORY_BYTES; count]);
        }
        let share = divide(&[LinkLimits::default()])[0];
        assert_eq!(share.fetch_bytes_max, FETCH_BYTES_MAX);
        assert_eq!(share.fetch_partition_bytes_max, FETCH_PARTITION_BYTES_MAX);
    }

    #[test]
    fn many_links_stay_within_the_budget_of_the_process() {
        for count in 9..=96 {
            let shares = shares(&vec![None; count]);
            assert!(shares.iter().sum::<usize>() <= PROCESS_MEMORY_BYTES, "{count} links");
            assert!(shares.iter().all(|&bytes| bytes >= MIB && bytes == shares[0]));
        }
        // Beyond that one fetch each is more than the budget, and less would be nothing.
        assert_eq!(shares(&vec![None; 1_000]), vec![MIB; 1_000]);
    }

    #[test]
    fn what_a_link_asks_for_comes_first() {
        assert_eq!(shares(&[Some(64), None, None, None, None]), {
            let mut expected = vec![8 * MIB; 5];
            expected[0] = 64 * MIB;
            expected
        });
        assert_eq!(shares(&[Some(4), None]), [4 * MIB, MEMORY_BYTES]);
        assert_eq!(shares(&[Some(200), None]), [200 * MIB, MIB], "one fetch is left");
        assert_eq!(shares(&[Some(u64::MAX >> 20), Some(u64::MAX >> 20), None])[2], MIB);
    }

    #[test]
    fn fetches_that_are_asked_for_have_room() {
        let asked = |partition: Option<u64>, fetch: Option<u64>| {
            let limits = LinkLimits {
                fetch_partition_bytes: partition.map(|mib| mib << 20),
                fetch_bytes: fetch.map(|mib| mib << 20),
                ..LinkLimits::default()
            };
            let share = divide(&[limits])[0];
            (share.memory_bytes / MIB, share.fetch_bytes_max >> 20)
        };
        assert_eq!(asked(Some(8), None), (12, 8));
        assert_eq!(asked(Some(8), Some(2)), (12, 2));
        assert_eq!(asked(Some(16), None), (16, 16));
        assert_eq!(asked(None, Some(32)), (32, 32));
    }
}
