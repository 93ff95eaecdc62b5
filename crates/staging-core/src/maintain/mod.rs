//! Maintenance of a state: recovery, sweeps, and finding stale patches.

pub(crate) mod doctor;
pub(crate) mod recover;
pub(crate) mod revalidate;
pub(crate) mod states;
pub(crate) mod sweep;
mod tidy;
