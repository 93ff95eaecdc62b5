//! Running other programs.

use std::process::Command;

use miette::{IntoDiagnostic as _, Result, miette};

/// Runs a program that must succeed.
pub(super) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().into_diagnostic()?;
    status.success().then_some(()).ok_or_else(|| miette!("{command:?} failed: {status}"))
}
