//! A copy of atomic-fs into which broken variants of its protocol are put, to show that fault
//! injection notices them.
//!
//! `mutants.toml` lists them; the build script copies the sources of atomic-fs and changes the lines
//! that the list names. Every variant is in the same copy, and a thread chooses one at run time. No
//! variant runs unless it is chosen, and nothing but the fault explorer uses this crate.
#![cfg(feature = "mutants")]
#![allow(clippy::disallowed_methods, reason = "atomic-fs has a list of its own")]

/// Whether this broken variant runs.
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_active($crate::mutants::Mutant::$name)
    };
}

pub mod mutants;

include!(concat!(env!("OUT_DIR"), "/atomic_fs/lib.rs"));
