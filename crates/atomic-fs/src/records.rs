//! What the caller recorded of its change sets: recovery acts on nothing else.
//!
//! A journal is a file that anything can write, damage or bring back from a backup. So recovery
//! compares it with the caller's own record of the set, and rebuilds it from that record where it
//! is missing or damaged.

use std::io;

use crate::change_set::{Change, EmptiedDirs};
use crate::content::ContentSource;
use crate::recovery::report::RecoveredOutcome;

/// The caller's own record of its change sets and their contents.
///
/// # Durability
/// A set that a power cut can leave half-made must be found here afterwards:
/// [`ContentSource::sync_record`] is called before the first swap of a set, and the record must
/// survive a power cut once it has returned.
pub trait SetRecords: Send + Sync {
    /// The set with this id; `None` when the caller never began one.
    ///
    /// # Errors
    /// What the caller's store reports; recovery then stops with nothing changed.
    fn find(&self, set: &str) -> io::Result<Option<RecordedSet>>;

    /// The ids of the sets that were begun and whose outcome is not recorded, oldest first.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    fn undecided(&self) -> io::Result<Vec<String>>;

    /// Base and staged contents by digest, to restore what was removed from the workspace.
    fn contents(&self) -> &dyn ContentSource;
}

/// One change set, as the caller recorded it when it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedSet {
    /// Its changes; `None` when the caller keeps none. A journal is then believed about them,
    /// and a set without a sound journal cannot be recovered.
    pub changes: Option<Vec<Change>>,
    /// What becomes of directories that it empties.
    pub emptied_dirs: EmptiedDirs,
    /// How it ended, when that is recorded: nothing is swapped any more then.
    pub ended: Option<RecoveredOutcome>,
    /// How its slots are numbered.
    pub slots: SlotNumbers,
}

/// How the slots of a set are numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlotNumbers {
    /// By path, as this version does. Slots are found without a journal.
    #[default]
    ByPath,
    /// By an order that only the journal tells. Without it the slots that are there are left to
    /// [`Workspace::sweep`](crate::Workspace::sweep), and new ones are written.
    Unknown,
}
