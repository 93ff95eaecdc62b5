//! What applies, undos and recoveries report.

use std::path::PathBuf;

use atomic_fs::RelPath;
use serde::{Deserialize, Serialize};

use crate::approval::Approval;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::Patch;
use crate::signature::Signature;

/// One apply that a patch was in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PatchApply {
    /// The apply.
    pub apply: ApplyId,
    /// How it ended; `None` while it runs.
    pub outcome: Option<ApplyOutcome>,
    /// The apply that took it back.
    pub undone_by: Option<ApplyId>,
    /// How it was approved; `None` when an older version applied it.
    pub approval: Option<Approval>,
}

/// How an apply stands that was given a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplyStatus {
    /// The apply.
    pub apply: ApplyId,
    /// How it ended; `None` while it runs.
    pub outcome: Option<ApplyOutcome>,
    /// Its patches, by path.
    pub patches: Vec<PatchId>,
    /// Why it did not reach the disk, or is in doubt.
    pub reason: Option<String>,
}

/// What an apply came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplyReport {
    /// Its id; `None` for a dry run.
    pub apply: Option<ApplyId>,
    /// How it ended.
    pub outcome: ApplyOutcome,
    /// Its patches, by path.
    pub patches: Vec<PatchId>,
    /// Always empty in a report of success; stale patches make an apply fail.
    pub stale: Vec<Patch>,
    /// What a person should know although it went well.
    pub warnings: Vec<String>,
    /// Files with bytes of a user's edit that could not stay in place.
    pub kept: Vec<String>,
}

/// What an undo came to: all of it is on disk, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UndoReport {
    /// Its own id.
    pub apply: ApplyId,
    /// The apply that it took back.
    pub undone: ApplyId,
    /// That apply's patches, by path.
    pub patches: Vec<PatchId>,
    /// Those that wait for a decision again.
    pub pending: Vec<PatchId>,
    /// Files with bytes of a user's edit that could not stay in place.
    pub kept: Vec<String>,
}

/// What a redo came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedoReport {
    /// The undone apply that was repeated.
    pub redone: ApplyId,
    /// The new apply.
    pub report: ApplyReport,
}

/// How an apply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyOutcome {
    /// All of it is on disk, durably; for a dry run: would be.
    Committed,
    /// Nothing changed.
    RolledBack,
    /// Recovery decides.
    InDoubt,
}

/// What recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecoverReport {
    /// Broken applies, and whether each is on the disk now.
    pub recovered: Vec<RecoveredApply>,
    /// Files with bytes of a user's edit that could not stay in place.
    pub kept: Vec<PathBuf>,
    /// Stored contents that nothing referred to any more.
    pub blobs_removed: u64,
    /// Journals that are damaged, or of sets that were not begun here; nothing acts on them.
    pub quarantined: Vec<QuarantinedJournal>,
    /// Temporary files of other Greenroom states over the same tree, left as they are.
    pub foreign_slots: Vec<String>,
}

impl RecoverReport {
    /// Whether there is nothing to tell of applies and journals.
    pub fn is_quiet(&self) -> bool {
        self.recovered.is_empty() && self.kept.is_empty() && self.quarantined.is_empty()
    }

    /// Adds what another recovery did.
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
    /// Where it is.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// An apply that recovery could neither finish nor take back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InDoubtApply {
    /// The apply.
    pub apply: ApplyId,
    /// Which files stand in the way, and how.
    pub reason: String,
}

/// One broken apply, decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecoveredApply {
    /// Its id, when the store still knew it.
    pub apply: Option<ApplyId>,
    /// The change set's id.
    pub set: String,
    /// The apply that it takes back, if it is an undo.
    pub undoes: Option<ApplyId>,
    /// The files of the set, as far as the store knows them.
    pub files: Vec<String>,
    /// Committed, rolled back, or in doubt: then nothing was changed.
    pub outcome: ApplyOutcome,
    /// Files that changed meanwhile, and how; with an apply in doubt, those that stand in the
    /// way.
    pub conflicts: Vec<String>,
    /// Files whose content came from the store, because its slot was gone.
    pub restored: Vec<String>,
    /// Whether the journal was missing or damaged, so that the store's record stood for it.
    pub from_record: bool,
}

/// An applied set that can be undone, or an undone one that can be applied again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversible {
    /// The apply.
    pub apply: ApplyId,
    /// Its patches, by path.
    pub patches: Vec<Patch>,
    /// Their signature as a set.
    pub signature: Signature,
}

/// A file that several sessions want to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contested {
    /// The file.
    pub path: RelPath,
    /// The patches, oldest first.
    pub patches: Vec<PatchId>,
    /// Their sessions.
    pub sessions: Vec<SessionId>,
}
