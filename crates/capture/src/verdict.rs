//! Decides what a change in a view may be proposed against.
//!
//! A base is only ever content that was proven to be what the view was made from. Times alone do
//! not prove it: a user who saves by rename replaces the file that the agent goes on seeing, and
//! the copy that the agent then changes is younger than the user's save but does not hold it.

use crate::changes::Change;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, TICK_NANOS};

/// Whether the times of the workspace, of the upper directory and of this machine may be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// Both directories are on local file systems of this kernel.
    Shared,
    /// One of them takes its times from elsewhere, as NFS, 9p and FUSE may.
    Separate,
}

/// What the upper directory of a view holds at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    /// A file, a symbolic link or a new directory.
    File(Stat),
    /// A whiteout, or a directory that hides the entry.
    Removed,
}

impl From<Change> for Upper {
    fn from(change: Change) -> Self {
        match change {
            Change::Written(_, stat) | Change::Linked(stat) | Change::Made(stat) => {
                Self::File(stat)
            }
            Change::Removed => Self::Removed,
        }
    }
}

/// Whether the directories above a path are where they were when the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Above {
    /// Nothing shows that one was moved.
    InPlace,
    /// One was moved, perhaps away and back: meanwhile the command may have read another file at
    /// the path, which leaves no trace in the file that is there now.
    Moved,
}

/// All that is known of one path when its change is imported.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What the workspace was when the run began.
    pub seen: &'a Snapshot,
    /// The path below the root of the workspace.
    pub path: &'a [u8],
    /// What lies at the path in the workspace now.
    pub lower: Option<Stat>,
    /// What the upper directory holds.
    pub upper: Upper,
    /// The directories above the path.
    pub above: Above,
    /// The inode number that the live view reports at the path; none if the view has ended.
    pub view_inode: Option<u64>,
    /// Whether times may be compared.
    pub clocks: Clocks,
}

/// What becomes of one change in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Propose a new file; nothing was at the path.
    Create,
    /// Propose a modification of what is at the path now. The importer compares the contents:
    /// opening a file for writing copies it without a change.
    Modify,
    /// Propose a deletion of what is at the path now.
    Delete,
    /// Propose nothing: the user removed the file as well.
    Nothing,
    /// The change may have been made from something else than what is at the path now.
    Stale,
}

impl Evidence<'_> {
    /// Decides by the evidence; every case that proves nothing is stale.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let seen = self.seen.get(self.path);
        match (self.upper, &self.lower) {
            (Upper::File(_), None) if seen.is_none() => Verdict::Create,
            // The files that were in it are removed by changes of their own.
            (Upper::File(_), Some(lower))
                if lower.kind == Kind::Directory
                    && seen.is_some_and(|seen| seen.kind == Kind::Directory) =>
            {
                Verdict::Create
            }
            (Upper::File(upper), Some(lower))
                if matches!(lower.kind, Kind::File | Kind::Symlink) =>
            {
                let proven = if self.is_unchanged(lower) {
                    self.view_allows(lower, &upper)
                } else {
                    self.is_copy_of(lower, &upper)
                };
                if proven { Verdict::Modify } else { Verdict::Stale }
            }
            (Upper::Removed, None) => Verdict::Nothing,
            (Upper::Removed, Some(lower))
                if self.is_unchanged(lower) && self.above == Above::InPlace =>
            {
                Verdict::Delete
            }
            (Upper::File(_) | Upper::Removed, _) => Verdict::Stale,
        }
    }

    /// Whether the entry is what it was before the agent began. An entry that changed within a tick
    /// before it was seen could have changed after it as well without a trace.
    fn is_unchanged(&self, lower: &Stat) -> bool {
        let seen = match self.clocks {
            Clocks::Shared => self.seen.settled(self.path),
            Clocks::Separate => self.seen.get(self.path),
        };
        seen == Some(lower)
    }

    /// Whether the view shows the copy of this very file, or does not say what it was copied from and
    /// no directory was moved. Another number means that a directory was exchanged for another one
    /// and back.
    fn view_allows(&self, lower: &Stat, upper: &Stat) -> bool {
        match self.view_inode {
            Some(inode) if inode == lower.inode && inode != upper.inode => true,
            Some(inode) if inode != upper.inode => false,
            _ => self.above == Above::InPlace,
        }
    }

    /// Whether the view says that the copy was made from this very inode, after its last change.
    /// The number says nothing where the copy has the same one by chance, on another device.
    fn is_copy_of(&self, lower: &Stat, upper: &Stat) -> bool {
        let after = |born| lower.changed.later_by(TICK_NANOS) < born;
        self.clocks == Clocks::Shared
            && (lower.kind, upper.kind) == (Kind::File, Kind::File)
            && self.view_inode == Some(lower.inode)
            && lower.inode != upper.inode
            && upper.born.is_some_and(after)
    }
}
