//! The source side of a link: fetching, and what of a fetched log is mirrored.

mod committed;
mod lane;
mod lanes;

pub(crate) use committed::{CommittedFilter, Verdict};
pub(crate) use lane::{Fetched, FetchedData, MemoryTicket, SourceEnd, SourcePartition};
pub(crate) use lanes::{SourceLanes, SourceStream};
