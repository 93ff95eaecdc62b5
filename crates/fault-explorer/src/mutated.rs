//! A copy of atomic-fs into which broken variants of its protocol are put, to show that fault
//! injection notices them.
//!
//! `mutants.toml` lists them; the build script copies the sources of atomic-fs and changes the lines
//! that the list names. Every variant is in the same copy, and a thread chooses one at run time. No
//! variant runs unless it is chosen, and nothing else uses this copy.
#![allow(clippy::disallowed_methods, reason = "atomic-fs has a list of its own")]
#![allow(unsafe_code, reason = "as in atomic-fs")]

/// Whether this broken variant runs.
macro_rules! mutant {
    ($name:ident) => {
        crate::mutated::mutants::is_active(crate::mutated::mutants::Mutant::$name)
    };
}

pub mod mutants;

include!(concat!(env!("OUT_DIR"), "/atomic_fs/lib.rs"));
