//! Writes what happens to files besides their lines, as `git diff --summary`.
//!
//! # Limitations
//! A rename has no similarity: contents are not compared for it.

use std::io::{self, Write};

use crate::render::header::{FileChange, FileHeader, created_mode, git_mode};
use crate::render::names::quote;
use crate::render::stat::renamed;

/// Writes the lines of one file: that it is created, deleted or renamed, and that its mode changes.
/// There is none where only its content changes.
///
/// # Errors
///
/// Those of `out`.
pub fn write_summary(header: &FileHeader<'_>, out: &mut dyn Write) -> io::Result<()> {
    let modes = || header.modes().map(|(old, new)| format!("{old} => {new}"));
    let mut line = |what: &str, name: &[u8]| {
        let space = if name.is_empty() { "" } else { " " };
        out.write_all(&[b" ", what.as_bytes(), space.as_bytes(), name, b"\n"].concat())
    };
    match header.change {
        FileChange::Create { path } => {
            line(&format!("create mode {}", created_mode(header.new_mode)), &quote(path))
        }
        FileChange::Delete { path } => {
            line(&format!("delete mode {}", git_mode(header.old_mode)), &quote(path))
        }
        FileChange::Rename { from, to } => {
            line("rename", &renamed(from, to))?;
            modes().map_or(Ok(()), |modes| line(&format!("mode change {modes}"), b""))
        }
        FileChange::Modify { path } | FileChange::Mode { path } => {
            modes().map_or(Ok(()), |modes| line(&format!("mode change {modes}"), &quote(path)))
        }
    }
}
