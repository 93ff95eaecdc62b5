//! `cargo xtask bench`: Greenroom beside its peers, in one run, as ratios.

use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};

mod apply;
mod contestants;
mod table;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    /// Change sets of 1 to 10,000 files, and one file of 1 GiB.
    Apply,
    /// The 1 GiB part, in a process of its own so that its peak memory is its own.
    LargeFile,
}

impl Bench {
    fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::LargeFile => "large-file",
        }
    }
}

/// Runs a bench over the workspace at `root`, in a release build.
pub(crate) fn run(root: &Path, bench: Bench) -> miette::Result<()> {
    if cfg!(debug_assertions) {
        // A debug build would measure the compiler's defaults.
        let status = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--release", "--package", "xtask", "--", "bench"])
            .arg(bench.word())
            .current_dir(root)
            .status()
            .into_diagnostic()
            .wrap_err("cannot run cargo")?;
        return if status.success() { Ok(()) } else { Err(miette!("the bench failed")) };
    }
    match bench {
        Bench::Apply => apply::run(root),
        Bench::LargeFile => apply::run_large_file(root),
    }
}
