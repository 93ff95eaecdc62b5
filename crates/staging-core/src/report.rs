//! Reports of applies, undos and recoveries.

use std::path::PathBuf;

use atomic_fs::RelPath;
use schemars::JsonSchema;
use serde::Serialize;

use crate::approval::Approval;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::Patch;
use crate::signature::Signature;
use crate::string_enum::string_enum;

/// One apply of a patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PatchApply {
    /// The apply.
    pub apply: ApplyId,
    /// How it ended; `None` while it runs.
    pub outcome: Option<ApplyOutcome>,
    /// The apply that undid it.
    pub undone_by: Option<ApplyId>,
    /// How it was approved; `None` when an older version applied it.
    pub approval: Option<Approval>,
}

/// The state of an apply that was requested under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ApplyStatus {
    /// The apply.
    pub apply: ApplyId,
    /// How it ended; `None` while it runs.
    pub outcome: Option<ApplyOutcome>,
    /// Its patches, by path.
    pub patches: Vec<PatchId>,
    /// Why it was rolled back, or is in doubt.
    pub reason: Option<String>,
}

/// The result of an apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplyReport {
    /// Its id; `None` for a dry run.
    pub apply: Option<ApplyId>,
    /// How it ended.
    pub outcome: ApplyOutcome,
    /// Its patches, by path.
    pub patches: Vec<PatchId>,
    /// Always empty: stale patches make an apply fail.
    pub stale: Vec<Patch>,
    /// Sentences for a person about an apply that succeeded.
    pub warnings: Vec<String>,
    /// Files in `conflicts/` with the bytes of a user's edit that could not stay in place.
    pub kept: Vec<String>,
}

/// The result of an undo: all of it is on disk, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UndoReport {
    /// The undo's own id.
    pub apply: ApplyId,
    /// The apply that was undone.
    pub undone: ApplyId,
    /// That apply's patches, by path.
    pub patches: Vec<PatchId>,
    /// Those of its patches that are pending again.
    pub pending: Vec<PatchId>,
    /// Files in `conflicts/` with the bytes of a user's edit that could not stay in place.
    pub kept: Vec<String>,
}

/// The result of a redo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedoReport {
    /// The undone apply that was repeated.
    pub redone: ApplyId,
    /// The new apply.
    pub report: ApplyReport,
}

string_enum! {
    /// How an apply ended.
    pub ApplyOutcome, "outcome of an apply" {
        /// All of it is on disk, durably; in a dry run it would be.
        Committed = "committed",
        /// The workspace is unchanged.
        RolledBack = "rolled_back",
        /// It is not certain which changes are on disk; recovery decides.
        InDoubt = "in_doubt",
    }
}

/// The result of a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecoverReport {
    /// Interrupted applies, and how recovery decided each.
    pub recovered: Vec<RecoveredApply>,
    /// Files in `conflicts/` with the bytes of a user's edit that could not stay in place.
    pub kept: Vec<PathBuf>,
    /// How many unreferenced contents were removed.
    pub blobs_removed: u64,
    /// Journals that recovery does not act on: they are damaged, or another state wrote them.
    pub quarantined: Vec<QuarantinedJournal>,
    /// Temporary files of other Greenroom states in the same tree, left as they are.
    pub foreign_slots: Vec<String>,
}

impl RecoverReport {
    /// Whether the report names no apply, no displaced edit and no journal.
    pub fn is_quiet(&self) -> bool {
        self.recovered.is_empty() && self.kept.is_empty() && self.quarantined.is_empty()
    }

    /// Adds the report of another recovery.
    pub fn add(&mut self, other: Self) {
        self.recovered.extend(other.recovered);
        self.kept.extend(other.kept);
        self.blobs_removed += other.blobs_removed;
        self.quarantined.extend(other.quarantined);
        self.foreign_slots.extend(other.foreign_slots);
    }
}

/// A journal that recovery does not act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuarantinedJournal {
    /// The journal's path.
    pub file: PathBuf,
    /// Why recovery does not act on it.
    pub reason: String,
}

/// An apply that recovery could not finish and could not roll back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InDoubtApply {
    /// The apply.
    pub apply: ApplyId,
    /// The files that prevent it, and how they differ.
    pub reason: String,
}

/// One interrupted apply, and how recovery decided it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecoveredApply {
    /// The apply; `None` when the store has no record of it.
    pub apply: Option<ApplyId>,
    /// The change set's id in the journal.
    pub set: String,
    /// The apply that was to be undone, if this is an undo.
    pub undoes: Option<ApplyId>,
    /// The set's files that the store has a record of.
    pub files: Vec<String>,
    /// Committed, rolled back, or in doubt; recovery changes nothing of an apply in doubt.
    pub outcome: ApplyOutcome,
    /// Files that changed meanwhile, and how; of an apply in doubt, those that prevent a decision.
    pub conflicts: Vec<String>,
    /// Files whose content was restored from the store, because their slot was missing.
    pub restored: Vec<String>,
    /// Whether recovery used the store's record, because the journal was missing or damaged.
    pub from_record: bool,
}

/// An applied set that can be undone, or an undone set that can be redone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversible {
    /// The apply.
    pub apply: ApplyId,
    /// Its patches, by path.
    pub patches: Vec<Patch>,
    /// Their signature as a set.
    pub signature: Signature,
}

/// A file that pending patches of several sessions change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Contested {
    /// The file.
    #[schemars(with = "String")]
    pub path: RelPath,
    /// The patches, oldest first.
    pub patches: Vec<PatchId>,
    /// Their sessions.
    pub sessions: Vec<SessionId>,
}
