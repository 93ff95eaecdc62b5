//! What the command, hooks and the MCP server show of patches in the same words.

mod commands;
mod decisions;
mod labels;
mod paths;
mod placements;

pub use self::commands::{HOW_TO_REVIEW, ReviewCommands};
pub use self::decisions::{decision_json, decision_lines, report_lines};
pub use self::labels::{AGENT_NAME_BYTES_MAX, agent_label};
pub use self::paths::below_root;
pub use self::placements::placement_remarks;

use atomic_fs::EntryKind;

use crate::base::Base;
use crate::patch::Patch;

/// A patch in one line, as in `p1 modify src/main.rs (+1 -1)`, with its revision from the second one on:
/// then it has replaced what somebody may have read. A file that is created with
/// `plain_mode` has the mode of any new file, which is not named; without it no new file's mode is.
pub fn patch_line(patch: &Patch, plain_mode: Option<u32>) -> String {
    let Patch { id, operation, path, diff, .. } = patch;
    let to = patch.rename_to.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
    let numbers = match (diff.full_replace, &patch.base, patch.staged) {
        (true, Some(base), Some(staged)) => {
            format!("{} -> {} bytes", base.content.bytes, staged.bytes)
        }
        (true, None, Some(staged)) => format!("{} bytes", staged.bytes),
        (true, Some(base), None) => format!("{} bytes gone", base.content.bytes),
        _ => format!("+{} -{}", diff.added, diff.removed),
    };
    let whole = if diff.full_replace { ", full replacement" } else { "" };
    let kind = kinds(patch).unwrap_or_default();
    let kind = if kind.is_empty() { kind } else { format!(", {kind}") };
    let edited = if patch.edited { ", edited by the reviewer" } else { "" };
    let mode = mode(patch, plain_mode).map(|mode| format!(", mode {mode}")).unwrap_or_default();
    let revision = match (patch.revision, patch.revision_of) {
        (revision, Some(of)) => format!(", revision {revision} of {of}"),
        (1, None) => String::new(),
        (revision, None) => format!(", revision {revision}"),
    };
    if patch.kind() == EntryKind::Directory && !patch.changes_kind() {
        return format!("{id} {operation} {path}{to} (directory{mode}{revision})");
    }
    format!("{id} {operation} {path}{to} ({numbers}{whole}{kind}{mode}{revision}{edited})")
}

/// What a patch is about, unless that is a file before and after.
fn kinds(patch: &Patch) -> Option<String> {
    let name = |kind: EntryKind| match kind {
        EntryKind::File => "file",
        EntryKind::Symlink => "symbolic link",
        EntryKind::Directory => "directory",
    };
    match patch.base.as_ref().map(Base::kind).filter(|_| patch.changes_kind()) {
        Some(base) => Some(format!("{} to {}", name(base), name(patch.kind()))),
        None if patch.kind() == EntryKind::File => None,
        None => Some(name(patch.kind()).to_owned()),
    }
}

/// The permission bits, where they change or are those of no plain new file.
fn mode(patch: &Patch, plain_mode: Option<u32>) -> Option<String> {
    let bits = |mode: u32| mode & 0o7777;
    match (&patch.base, patch.staged) {
        _ if patch.kind() != EntryKind::File => None,
        (Some(base), Some(staged)) if !patch.changes_kind() && base.content.mode != staged.mode => {
            Some(format!("{:o} -> {:o}", bits(base.content.mode), bits(staged.mode)))
        }
        (None, Some(staged)) if plain_mode.is_some_and(|plain| plain != staged.mode) => {
            Some(format!("{:03o}", bits(staged.mode)))
        }
        _ => None,
    }
}
