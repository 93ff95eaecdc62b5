//! `completions`: what a shell reads to complete command lines.

use crate::console::Console;
use crate::failure::Failure;
use crate::shells::Shell;

pub(super) fn completions(shell: Shell, console: &Console) -> Result<(), Failure> {
    let script = shell.script().as_bytes();
    console.bytes(|out| {
        out.write_all(script).map_err(|source| staging_core::StagingError::Output { source })
    })
}
