//! One file's proposed change: pending, then applied or discarded.

use atomic_fs::{Digest, EntryKind, Fingerprint, RelPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::comment::LineComment;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::risk::kind::{Risk, RiskKind};
use crate::signature::Signature;
use crate::string_enum::string_enum;
use crate::time::Timestamp;

string_enum! {
    /// What a patch does to its file.
    pub Operation, "operation" {
        /// Creates a file, a symbolic link or a directory.
        Create = "create",
        /// Replaces the content, and the mode when that differs too.
        Modify = "modify",
        /// Removes the file, the symbolic link or the empty directory.
        Delete = "delete",
        /// Moves the file, perhaps with new content or mode.
        Rename = "rename",
        /// Changes the permission bits alone.
        Mode = "mode",
    }
}

string_enum! {
    /// The state of a patch.
    pub PatchState, "patch's state" {
        /// Waits for a decision.
        Pending = "pending",
        /// Is on the disk.
        Applied = "applied",
        /// Was rejected, replaced or expired.
        Discarded = "discarded",
    }
}

string_enum! {
    /// Why a patch was discarded.
    pub DiscardReason, "reason to discard" {
        /// A person said no.
        Rejected = "rejected",
        /// The file is no longer what the agent saw.
        Stale = "stale",
        /// The agent replaced or withdrew it.
        Superseded = "superseded",
        /// Its session expired.
        SessionExpired = "session_expired",
        /// An undo reverted it, or what it builds on; `redo` applies it again.
        Undone = "undone",
        /// The reviewer edited it: a new revision took its place.
        Edited = "edited",
    }
}

impl DiscardReason {
    /// Whether the system discarded the patch by itself, so that a reviewer has to see that it
    /// is missing.
    pub(crate) const fn lapses(self) -> bool {
        matches!(self, Self::Stale | Self::SessionExpired)
    }

    /// Whether a person decided so.
    pub(crate) const fn is_by_person(self) -> bool {
        match self {
            Self::Rejected | Self::Undone | Self::Edited => true,
            Self::Stale | Self::Superseded | Self::SessionExpired => false,
        }
    }

    /// Whether the agent has to be informed.
    pub(crate) const fn is_to_be_reported(self) -> bool {
        !matches!(self, Self::Superseded)
    }
}

/// One path's proposed change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Patch {
    /// Its id.
    pub id: PatchId,
    /// The session it was proposed in.
    pub session: SessionId,
    /// The file, free of symlinks.
    pub path: RelPath,
    /// Where a rename moves it.
    pub rename_to: Option<RelPath>,
    /// What it does.
    pub operation: Operation,
    /// Its state.
    pub state: PatchState,
    /// Why it was discarded.
    pub reason: Option<DiscardReason>,
    /// The reason that the reviewer gave.
    pub reason_text: Option<String>,
    /// The reviewer's comments for single lines of what it stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<LineComment>,
    /// What an approval of this patch alone names; computed from these fields, never stored.
    pub signature: Signature,
    /// 1, and one more each time that what it proposes is replaced: the id stays. An id with a revision
    /// names one content, whatever happens later.
    pub revision: u32,
    /// Whether its content is the reviewer's, who edited what the agent had proposed.
    pub edited: bool,
    /// Whether the reviewer made this revision. The agent may have changed the mode or the name of
    /// what the reviewer has edited.
    #[serde(skip)]
    pub by_reviewer: bool,
    /// The patch of which this is an earlier revision, kept under an id of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_of: Option<PatchId>,
    /// What the agent saw; `None` for a create.
    pub base: Option<Base>,
    /// The content after it is applied; `None` for a delete.
    #[serde(serialize_with = "crate::base::serialize_content")]
    pub staged: Option<Fingerprint>,
    /// The diff in numbers.
    pub diff: DiffSummary,
    /// When this revision was proposed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The apply that applied it, or that is running.
    pub apply: Option<ApplyId>,
    /// Whether its contents are still stored, so that it can be shown, proposed
    /// again, or undone.
    pub content_kept: bool,
    /// Whether it was discarded because its file changed or its session expired, and was not refreshed
    /// or dismissed since: its session reports that it is missing.
    pub lapsed: bool,
    /// The first of the patches that were staged together with it, all or none.
    pub batch: Option<PatchId>,
}

impl Patch {
    /// The id of a patch that has none yet.
    pub(crate) const PLANNED: PatchId = PatchId(0);

    /// A pending patch that has yet to be numbered, signed and compared.
    pub(crate) fn draft(
        session: SessionId,
        path: &RelPath,
        operation: Operation,
        base: Option<Base>,
        staged: Option<Fingerprint>,
    ) -> Self {
        let now = Timestamp::now();
        Self {
            id: Self::PLANNED,
            session,
            path: path.clone(),
            rename_to: None,
            operation,
            state: PatchState::Pending,
            reason: None,
            reason_text: None,
            comments: Vec::new(),
            signature: Signature::from_bytes([0; 32]),
            revision: 1,
            edited: false,
            by_reviewer: false,
            revision_of: None,
            base,
            staged,
            diff: DiffSummary::default(),
            created_at: now,
            updated_at: now,
            apply: None,
            content_kept: true,
            lapsed: false,
            batch: None,
        }
    }

    /// Whether its agent has replaced what this id stood for before: somebody may have read that.
    pub fn is_rewritten(&self) -> bool {
        self.revision > 1 && !self.by_reviewer && self.revision_of.is_none()
    }

    /// Its id with its revision, as in `p5@2`; the id alone in its first one.
    pub fn name(&self) -> String {
        match self.revision {
            1 => self.id.to_string(),
            revision => format!("{}@{revision}", self.id),
        }
    }

    /// Whether it has the reviewer's edit, or shows that it replaces one.
    pub(crate) fn carries_edit(&self) -> bool {
        let replaces = |risk: &Risk| risk.kind == RiskKind::EditReplaced;
        self.edited || self.diff.risks.iter().any(replaces)
    }

    /// The contents to which it refers, base and staged, each with its length in bytes.
    pub(crate) fn contents(&self) -> [Option<(Digest, u64)>; 2] {
        let base = self.base.map(|base| base.content);
        [base, self.staged].map(|content| content.map(|content| (content.digest, content.bytes)))
    }

    /// The path at which it creates a file, or to which it moves one.
    pub(crate) fn brought(&self) -> Option<&RelPath> {
        matches!(self.operation, Operation::Create | Operation::Rename)
            .then(|| self.target())
            .flatten()
    }

    /// Its path and, of a rename, where it moves the file.
    pub fn paths(&self) -> impl Iterator<Item = &RelPath> + Clone {
        std::iter::once(&self.path).chain(&self.rename_to)
    }

    /// Where the file is once the patch is applied; `None` after a delete.
    pub fn target(&self) -> Option<&RelPath> {
        match self.operation {
            Operation::Delete => None,
            Operation::Rename => self.rename_to.as_ref(),
            Operation::Create | Operation::Modify | Operation::Mode => Some(&self.path),
        }
    }

    /// Whether a file comes in place of a symbolic link, or a link in place of a file. As in
    /// git, a diff shows that as a deletion and a creation.
    pub fn changes_kind(&self) -> bool {
        let base = self.base.as_ref().map(Base::kind);
        base.zip(self.staged).is_some_and(|(base, staged)| base != staged.kind())
    }

    /// Whether what was at `path` is removed, moved or replaced by another kind.
    pub(crate) fn replaces(&self, path: &RelPath) -> bool {
        self.frees(path) || (self.path == *path && self.changes_kind())
    }

    /// The kind of what it creates or changes, or else of what it removes.
    pub fn kind(&self) -> EntryKind {
        let base = self.base.as_ref().map(Base::kind);
        self.staged.map(|staged| staged.kind()).or(base).unwrap_or(EntryKind::File)
    }

    /// Whether it removes or moves the file at `path`.
    pub(crate) fn frees(&self, path: &RelPath) -> bool {
        self.path == *path && matches!(self.operation, Operation::Delete | Operation::Rename)
    }
}

/// A diff in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffSummary {
    /// Which strategy made it.
    pub strategy: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// Whether the file is replaced as a whole, which needs a confirmation.
    pub full_replace: bool,
    /// Whether a side is binary.
    pub binary: bool,
    /// Remarks about the diff.
    pub remarks: Vec<String>,
    /// What the reviewer should know first. What only a set shows is in
    /// [`SetRisk`](crate::SetRisk).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<Risk>,
}
