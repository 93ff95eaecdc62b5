//! Reports of applies, undos and recoveries.

use std::path::PathBuf;

use atomic_fs::{EntryKind, RelPath};
use schemars::JsonSchema;
use serde::Serialize;

use crate::approval::Approval;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::Patch;
use crate::signature::Signature;
use crate::string_enum::string_enum;
use crate::time::Timestamp;

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

/// A file that was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UndoneFile {
    /// Its patch.
    pub patch: PatchId,
    /// The file, as it is again.
    #[schemars(with = "String")]
    pub path: RelPath,
    /// Where the patch had moved it.
    #[schemars(with = "Option<String>")]
    pub rename_to: Option<RelPath>,
}

impl From<&Patch> for UndoneFile {
    fn from(patch: &Patch) -> Self {
        Self { patch: patch.id, path: patch.path.clone(), rename_to: patch.rename_to.clone() }
    }
}

/// Patches in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// Files and symbolic links.
    pub files: u64,
    /// Directories that are created or removed by themselves.
    pub directories: u64,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

impl Totals {
    /// Those of these patches.
    pub fn of(patches: &[Patch]) -> Self {
        let mut totals = Self::default();
        for patch in patches {
            totals.add(patch.kind(), patch.diff.added, patch.diff.removed);
        }
        totals
    }

    /// Adds a patch of an entry of this kind.
    pub(crate) fn add(&mut self, kind: EntryKind, added: u64, removed: u64) {
        match kind {
            EntryKind::Directory => self.directories += 1,
            EntryKind::File | EntryKind::Symlink => self.files += 1,
        }
        self.added += added;
        self.removed += removed;
    }
}

/// For people: `2 files (+3 -1)`, `1 file, 1 directory (+3 -1)`.
impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |number: u64, one: &str, many: &str| {
            format!("{number} {}", if number == 1 { one } else { many })
        };
        let files = count(self.files, "file", "files");
        let directories = count(self.directories, "directory", "directories");
        match (self.files, self.directories) {
            (_, 0) => f.write_str(&files)?,
            (0, _) => return f.write_str(&directories),
            _ => write!(f, "{files}, {directories}")?,
        }
        write!(f, " (+{} -{})", self.added, self.removed)
    }
}

/// An apply or an undo, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ApplyRecord {
    /// Its id.
    pub apply: ApplyId,
    /// How it ended; `None` while it runs.
    pub outcome: Option<ApplyOutcome>,
    /// Why it was rolled back, or is in doubt.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// How it was approved; `None` when an older version applied it.
    pub approval: Option<Approval>,
    /// The reviewer's words.
    pub message: Option<String>,
    /// The apply that it undoes, wholly or in part.
    pub undoes: Option<ApplyId>,
    /// The apply that undid the last of it; `None` while something of it is applied.
    pub undone_by: Option<ApplyId>,
    /// Its patches in numbers, without those that are older than the history is kept.
    pub totals: Totals,
    /// How many of its patches were undone.
    pub undone: u64,
    /// Whether some of its patches are older than the history is kept: it can be neither undone nor
    /// redone.
    pub forgotten: bool,
}

/// A patch of an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedPatch {
    /// The patch as it is now.
    pub patch: Patch,
    /// The undo that undid it, since that apply.
    pub undone_by: Option<ApplyId>,
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
    /// What it changes, in numbers.
    pub totals: Totals,
    /// The signature of its patches as a set; that of no patch when the apply was made by an earlier
    /// call.
    pub signature: Signature,
    /// Stale and expired patches of the set that were left out, because only the rest was wanted.
    pub left_out: Vec<Patch>,
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
    /// Those of that apply's patches that this undo undid, by path.
    pub patches: Vec<PatchId>,
    /// Those of them that are pending again.
    pub pending: Vec<PatchId>,
    /// The signature of those as a set.
    pub signature: Signature,
    /// The patches of that apply that are still applied, by path.
    pub remaining: Vec<PatchId>,
    /// What it undid, in numbers, as its patches have them.
    pub totals: Totals,
    /// The files of these patches.
    pub files: Vec<UndoneFile>,
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

/// What can be undone of an applied set, or redone of an undone one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversible {
    /// The apply.
    pub apply: ApplyId,
    /// The undo whose patches can be redone; `None` for all that was undone of the apply, and for
    /// what can be undone.
    pub undo: Option<ApplyId>,
    /// The patches, by path.
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
