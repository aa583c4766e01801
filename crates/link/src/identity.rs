//! Producer ids that say who wrote a batch: Farlog's tag, the cluster of birth and the link.
//!
//! A batch header carries the producer id of its writer through broker restarts and compaction,
//! and Apache Kafka accepts ids that it never allocated (its controller allocates upwards from 0).
//! So an id of our own making marks mirrored records without touching them, and the broker's
//! sequence check on that id is the compare-and-swap that makes mirroring exactly once.

use std::fmt;

/// The upper 16 bits of every tagged id: "FL". Its top bit is 0, so that ids stay positive.
const TAG: i64 = 0x464C;
const TAG_SHIFT: u32 = 48;
const BIRTH_SHIFT: u32 = 24;
const CODE_MASK: i64 = 0x00FF_FFFF;

/// The producer epoch of every batch that a link writes.
///
/// It never changes: a new epoch would have to start again at sequence 0, and the sequence, not the
/// epoch, is what fences a second writer.
pub const PRODUCER_EPOCH: i16 = 0;

/// 24 bits that stand for a cluster id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterCode(u32);

impl ClusterCode {
    /// The code of a cluster, from Kafka's cluster id.
    pub fn of(cluster_id: &str) -> Self {
        Self(code_24("cluster", cluster_id))
    }
}

impl fmt::Debug for ClusterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

impl fmt::Display for ClusterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

/// 24 bits that stand for a link: the pair of cluster ids and the link's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkCode(u32);

impl LinkCode {
    /// The code of the link `name` from one cluster id to another.
    pub fn of(source_cluster_id: &str, target_cluster_id: &str, name: &str) -> Self {
        Self(code_24("link", &format!("{source_cluster_id}\n{target_cluster_id}\n{name}")))
    }
}

/// A producer id made by Farlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaggedId {
    /// Where the records were first accepted.
    pub birth: ClusterCode,
    /// The link that wrote them here.
    pub link: LinkCode,
}

impl TaggedId {
    /// The id as Kafka carries it.
    pub fn producer_id(self) -> i64 {
        (TAG << TAG_SHIFT) | (i64::from(self.birth.0) << BIRTH_SHIFT) | i64::from(self.link.0)
    }

    /// Reads a producer id; `None` if it does not carry Farlog's tag.
    pub fn parse(producer_id: i64) -> Option<Self> {
        if producer_id < 0 || producer_id >> TAG_SHIFT != TAG {
            return None;
        }
        let birth = (producer_id >> BIRTH_SHIFT) & CODE_MASK;
        let link = producer_id & CODE_MASK;
        // Both are below 2^24 by the mask.
        Some(Self { birth: ClusterCode(birth as u32), link: LinkCode(link as u32) })
    }
}

/// FNV-1a over a domain and a text, folded to 24 bits: stable for ever, since ids stay in logs.
fn code_24(domain: &str, text: &str) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in domain.bytes().chain([0]).chain(text.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    ((hash ^ (hash >> 24) ^ (hash >> 48)) & 0x00FF_FFFF) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagged_id_is_positive_and_reads_back() {
        let id = TaggedId {
            birth: ClusterCode::of("4L6g3nShT-eMCtK--X86sw"),
            link: LinkCode::of("4L6g3nShT-eMCtK--X86sw", "MkU3OEVBNTcwNTJENDM2Qg", "east-west"),
        };
        assert!(id.producer_id() > 0);
        assert_eq!(TaggedId::parse(id.producer_id()), Some(id));
    }

    #[test]
    fn allocated_ids_carry_no_tag() {
        for id in [-1, 0, 1, 1000, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            assert_eq!(TaggedId::parse(id), None, "{id}");
        }
    }

    #[test]
    fn codes_never_change() {
        // These ids are in users' logs: a changed hash would orphan every mirror.
        assert_eq!(ClusterCode::of("a").to_string(), "6b5a5a");
        assert_eq!(
            TaggedId { birth: ClusterCode::of("a"), link: LinkCode::of("a", "b", "l") }
                .producer_id(),
            0x464c6b5a5a9927d3,
        );
    }
}
