//! What keeps a state in order: recovery, sweeps, and looking at files again.

pub(crate) mod doctor;
pub(crate) mod recover;
pub(crate) mod revalidate;
pub(crate) mod states;
pub(crate) mod sweep;
mod tidy;
