//! What is asked of the disk: changes that happen together or not at all.

use serde::{Deserialize, Serialize};

use crate::content::Fingerprint;
use crate::rel_path::RelPath;

/// Changes that reach the disk together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The caller's name for it, kept in the journal and reported by recovery;
    /// ASCII letters, digits, `-` and `_`, at most 64 bytes.
    pub id: String,
    /// The changes, in any order. One may take a file from a path and another bring
    /// one to it; else no two may concern the same path.
    pub changes: Vec<Change>,
}

/// One file's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The file, by a path free of symlinks (see `Workspace::resolve`).
    pub path: RelPath,
    /// What must be there for the change to be made.
    pub expected: Expected,
    /// What to do.
    pub operation: Operation,
}

/// The precondition of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Nothing is at the path.
    Absent,
    /// A regular file with this content and mode is at the path.
    Matches(Fingerprint),
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Creates the file (expected absent) or replaces its content (expected to
    /// match).
    Write(Fingerprint),
    /// Removes the file.
    Delete,
    /// Moves the file to a path that must be absent once the set's other changes
    /// are counted in.
    Rename {
        /// Where to.
        to: RelPath,
        /// New content or mode, when the move changes those as well.
        staged: Option<Fingerprint>,
    },
    /// Changes the permission bits alone.
    SetMode {
        /// The new permission bits.
        mode: u32,
    },
}
