//! What a recovery reports.

use crate::conflict::Conflict;
use crate::recovery::conflicts::DisplacedEdit;
use crate::rel_path::RelPath;

/// What recovery did with one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The set's id.
    pub set: String,
    /// How it ended.
    pub outcome: RecoveredOutcome,
    /// Files that a user edited meanwhile; the edits are kept in place.
    pub edited: Vec<Conflict>,
    /// User's edits that could not be put back in place.
    pub kept: Vec<DisplacedEdit>,
    /// Directories that a committed set made, outermost first.
    pub made_dirs: Vec<RelPath>,
    /// Directories that a committed set has taken away or emptied, as
    /// [`Applied::removed_dirs`](crate::Applied::removed_dirs).
    pub removed_dirs: Vec<(RelPath, Option<u32>)>,
    /// Files whose old or new content came from the caller's store, because something else had
    /// removed their slots.
    pub restored: Vec<RelPath>,
    /// Why the set is in doubt: the files that can be neither finished nor taken back. Empty for
    /// every other outcome.
    pub unresolved: Vec<Conflict>,
    /// Whether there was no sound journal, so that the caller's record of the set stood for it.
    pub from_record: bool,
}

/// How recovery ended a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveredOutcome {
    /// All of it is on disk, durably.
    Committed,
    /// None of it is, but for what users edited.
    RolledBack,
    /// Neither: nothing was changed, and nothing will be until
    /// [`Workspace::reopen_in_doubt`](crate::Workspace::reopen_in_doubt) or
    /// [`Workspace::forget_in_doubt`](crate::Workspace::forget_in_doubt) is called. Other sets can
    /// be applied.
    InDoubt,
}

/// A journal that recovery did not act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name in `journal/` now.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What a recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The sets that it recovered, in order.
    pub sets: Vec<Recovered>,
    /// Journals that are damaged, or whose set the caller has no record of.
    pub quarantined: Vec<Quarantined>,
}
