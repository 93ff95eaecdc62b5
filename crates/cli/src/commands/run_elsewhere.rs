//! `run` on systems without overlays.

use std::process::ExitCode;

use staging_core::ErrorKind;

use crate::args::{Global, Run};
use crate::console::Console;
use crate::failure::Failure;

pub(crate) fn run(_: &Run, _: &Global, _: &Console) -> Result<ExitCode, Failure> {
    let message = "`run` needs Linux: no other system shows a command a view of the workspace";
    let advice = "Have the agent propose its changes: `greenroom init` or `greenroom mcp`.";
    Err(Failure::new(ErrorKind::Unsupported, message).advise(advice))
}
