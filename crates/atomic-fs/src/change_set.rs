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
    /// one to it; else no two may concern the same path. Where a change brings a file to the path
    /// of a directory that the others empty, that directory makes way.
    pub changes: Vec<Change>,
    /// What becomes of directories that they empty.
    pub emptied_dirs: EmptiedDirs,
}

/// What becomes of directories that hold nothing any more once files have left them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptiedDirs {
    /// They are removed, as git does, and reported as
    /// [`Applied::removed_dirs`](crate::Applied::removed_dirs).
    #[default]
    Remove,
    /// They stay, but for those that make way: the caller knows which directories were there.
    Keep,
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

impl Change {
    /// The path at which something comes to be that was not there.
    pub(crate) fn arrives_at(&self) -> Option<&RelPath> {
        match (&self.operation, self.expected) {
            (Operation::Rename { to, .. }, _) => Some(to),
            (Operation::Write(_) | Operation::MakeDir { .. }, Expected::Absent) => Some(&self.path),
            _ => None,
        }
    }

    /// Whether it takes away what is at its path.
    pub(crate) fn frees_path(&self) -> bool {
        matches!(
            self.operation,
            Operation::Delete | Operation::Rename { .. } | Operation::RemoveDir
        )
    }
}

/// The precondition of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Nothing is at the path.
    Absent,
    /// A regular file or a symbolic link with this content and mode is at the path.
    Matches(Fingerprint),
    /// A directory is there that holds nothing but what the set's other changes take away.
    Directory {
        /// Its permission bits.
        mode: u32,
    },
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Creates the file or the symbolic link (expected absent), or replaces one with another
    /// (expected to match).
    Write(Fingerprint),
    /// Removes the file or the symbolic link.
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
    /// Makes a directory (expected absent), and those above it that are missing. The directory
    /// stays where it is there already when its turn comes.
    MakeDir {
        /// Its permission bits; those of a plain `mkdir` when not given.
        mode: Option<u32>,
    },
    /// Removes a directory (expected to be one) that is empty once the set's other changes are
    /// counted in.
    RemoveDir,
}
