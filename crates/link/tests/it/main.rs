//! Links between real clusters.

#![allow(clippy::unwrap_used)]

mod events;
mod fixture;
mod groups;
mod histories;
mod mirror;
mod mirrormaker_classes;
mod mirrormaker_topics;
mod preserve;
mod preserve_readers;
