//! Running other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, miette};

/// Runs a program that must succeed.
pub(super) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().into_diagnostic()?;
    status.success().then_some(()).ok_or_else(|| miette!("{command:?} failed: {status}"))
}

/// Builds the command for release; its file.
pub(super) fn release_build(root: &Path) -> Result<PathBuf> {
    succeed(
        Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--bin", "greenroom"])
            .current_dir(root),
    )?;
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root.join(target),
        None => root.join("target"),
    };
    Ok(target.join("release/greenroom"))
}
