//! Explores every crash, fault and user's edit that atomic-fs may meet, on a simulated disk.
//!
//! The code under test is the shipped code over the trait `Disk`; this crate decides what
//! happens to it ([`plan`]), makes what crashes leave ([`search`]), and asks whether every
//! promise holds ([`oracle`]). Nothing here depends on a clock or on the order of threads:
//! the same seed gives the same counts on every machine.
#![deny(unsafe_code)]

pub mod beside;
pub mod case;
pub mod counts;
pub mod fixture;
#[cfg(feature = "mutants")]
pub mod mutants;
#[cfg(feature = "mutants")]
pub mod mutated;
pub mod oracle;
pub mod phases;
pub mod plan;
pub mod pool;
pub mod recorded;
pub mod report;
pub mod runs;
pub mod scenario;
pub mod search;
pub mod snapshot;
pub mod tamper;
pub mod trace;
mod workspace;

/// The code under test.
#[cfg(not(feature = "mutants"))]
pub use ::atomic_fs;
/// The code under test, with broken variants of its protocol that run when they are chosen.
#[cfg(feature = "mutants")]
pub use mutated as atomic_fs;
