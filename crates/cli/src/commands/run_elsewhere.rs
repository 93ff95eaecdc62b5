//! `run` and `exec` on systems without overlays.

use std::process::ExitCode;

use staging_core::ErrorKind;

use crate::args::{Exec, Global, Run};
use crate::console::Console;
use crate::failure::Failure;

const NEEDS_LINUX: &str =
    "this needs Linux: no other system shows a command a view of the workspace";

pub(crate) fn run(_: &Run, _: &Global, _: &Console) -> Result<ExitCode, Failure> {
    let advice = "Have the agent propose its changes: `greenroom init` or `greenroom mcp`.";
    Err(Failure::new(ErrorKind::Unsupported, NEEDS_LINUX).advise(advice))
}

pub(crate) fn exec(_: &Exec, _: &Global, _: &Console) -> Result<ExitCode, Failure> {
    let advice = "Apply the patches, run the command, and undo the apply if it fails.";
    Err(Failure::new(ErrorKind::Unsupported, NEEDS_LINUX).advise(advice))
}
