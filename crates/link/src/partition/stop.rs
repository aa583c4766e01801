//! Why a partition does not go on, with the way out.

use crate::status::PartitionState;

/// A partition that stopped: its state, and a sentence that says why and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) state: PartitionState,
    pub(crate) why: String,
}

impl Stop {
    pub(crate) fn new(state: PartitionState, why: impl Into<String>) -> Self {
        Self { state, why: why.into() }
    }
}

/// Something that passes by itself: the position is read again after a back-off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) state: PartitionState,
    pub(crate) why: String,
    /// Requests were under way when their connection was lost, and may still arrive.
    pub(crate) unsettled: bool,
}

impl Doubt {
    pub(crate) fn source(why: impl Into<String>) -> Self {
        Self { state: PartitionState::SourceUnavailable, why: why.into(), unsettled: false }
    }

    pub(crate) fn target(why: impl Into<String>) -> Self {
        Self { state: PartitionState::TargetUnavailable, why: why.into(), unsettled: false }
    }
}

/// How an attempt to mirror a partition ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    Stop(Stop),
    Doubt(Doubt),
    /// Asked to end, and everything sent was acknowledged.
    Drained,
    /// The lease ran out: another instance may own the link.
    LeaseLost,
}

impl From<Stop> for Interruption {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Doubt> for Interruption {
    fn from(doubt: Doubt) -> Self {
        Self::Doubt(doubt)
    }
}
