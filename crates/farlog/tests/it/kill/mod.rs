//! Kills: instances, networks and brokers fail at random points, and source and mirror are compared
//! record by record afterwards. `docs/kill-tests.md` says what is covered.

mod events;
pub(crate) mod fixture;
mod hazards;
mod positions;
mod random;
