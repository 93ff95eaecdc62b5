//! `cargo xtask fault-inject`: runs the explorer of `crates/fault-explorer`, built for speed.
//!
//! It is a program of its own, so that the broken variants of the protocol are compiled into
//! nothing else, and so that every other task stays quick to build.

use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};

/// What cargo is asked to run; the explorer's own arguments follow.
pub(crate) const CARGO: [&str; 9] = [
    "run",
    "--quiet",
    "--release",
    "--locked",
    "--package",
    "fault-explorer",
    "--features",
    "mutants",
    "--",
];

/// Runs the explorer in the workspace at `root`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> miette::Result<()> {
    let status = Command::new(crate::ci::cargo())
        .args(CARGO)
        .args(arguments)
        .current_dir(root)
        .status()
        .into_diagnostic()
        .wrap_err("cargo could not be started")?;
    match status.code() {
        Some(0) => Ok(()),
        // It has said what it did not understand.
        Some(2) => std::process::exit(2),
        _ => Err(miette!("fault injection found a broken promise, or a mutant that survived")),
    }
}
