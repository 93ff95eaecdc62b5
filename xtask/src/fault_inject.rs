//! `cargo xtask fault-inject`: runs the explorer of `crates/fault-explorer`, built for speed.
//!
//! A whole run ends with the binary itself, killed and failed at its system calls.
//!
//! It is a program of its own, so that the broken variants of the protocol are compiled into
//! nothing else, and so that every other task stays quick to build.

use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};

use crate::real_disk::Scope;

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
    let status = Command::new(crate::cargo::cargo())
        .args(CARGO)
        .args(arguments)
        .current_dir(root)
        .status()
        .into_diagnostic()
        .wrap_err("cargo could not be started")?;
    match status.code() {
        Some(0) => match real_disk(arguments) {
            Some(scope) => crate::real_disk::run(root, &scope),
            None => Ok(()),
        },
        // It has said what it did not understand.
        Some(2) => std::process::exit(2),
        _ => Err(miette!("fault injection found a broken promise, or a mutant that survived")),
    }
}

/// What of the real thing belongs to such a run: the binary killed and failed at some of its
/// system calls by default, at all of them on every file system with `--deep`, and nothing
/// where the simulated disk alone was asked for.
fn real_disk(arguments: &[String]) -> Option<Scope> {
    let mut arguments = arguments.iter().map(String::as_str);
    let mut scope = Scope::bounded();
    while let Some(argument) = arguments.next() {
        match argument {
            "--deep" => scope = Scope::exhaustive(),
            // The seed and the time are the explorer's own.
            "--seed" | "--minutes" => drop(arguments.next()),
            _ => return None,
        }
    }
    Some(scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_runs_go_on_to_the_real_disk() {
        let scope = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            real_disk(&words)
        };
        assert_eq!(scope(""), Some(Scope::bounded()));
        assert_eq!(scope("--seed 7"), Some(Scope::bounded()));
        assert_eq!(scope("--deep --minutes 10"), Some(Scope::exhaustive()));
        for partial in ["--quick", "--seed 7 --quick", "--model kill", "--replay x", "--help"] {
            assert_eq!(scope(partial), None, "{partial}");
        }
    }
}
