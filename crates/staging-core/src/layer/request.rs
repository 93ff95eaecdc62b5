//! What is asked of the layer, and what it answers.

use std::path::PathBuf;
use std::str::FromStr;

use atomic_fs::{Digest, RelPath};
use serde::{Deserialize, Serialize};

use super::resolve::Meaning;
use super::view::Reading;
use crate::approval::Approval;
use crate::events::ClientAttestation;
use crate::ids::{ApplyId, IdParseError, PatchId, RequestId, SessionId};
use crate::patch::Patch;
use crate::session::Session;
use crate::signature::Signature;

/// What an agent wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// New content, whole.
    Write {
        /// The file.
        path: RelPath,
        /// What it is to hold.
        content: Vec<u8>,
        /// Its permission bits; those of the file there, when not given.
        mode: Option<u32>,
    },
    /// New content, whole, streamed from a file outside the workspace.
    WriteFrom {
        /// The file.
        path: RelPath,
        /// Where the content is.
        file: PathBuf,
        /// Its permission bits; those of the file there, when not given.
        mode: Option<u32>,
    },
    /// One piece of text replaced by another, in what the session sees.
    Edit {
        /// The file.
        path: RelPath,
        /// What to replace; must occur exactly once unless all are replaced. Nothing, for a file
        /// that is absent or empty.
        old: Vec<u8>,
        /// What to put in its place.
        new: Vec<u8>,
        /// Whether every occurrence is replaced.
        replace_all: bool,
    },
    /// A symbolic link there, in place of a file or a link.
    Symlink {
        /// The link.
        path: RelPath,
        /// Where it leads, as it is written: relative to the link's directory, or absolute. It may
        /// not lead out of the workspace; what it leads to may be absent.
        target: Vec<u8>,
    },
    /// A directory there, and those above it; nothing changes where one is.
    CreateDirectory {
        /// The directory.
        path: RelPath,
    },
    /// Nothing there any more.
    Delete {
        /// The file, the symbolic link itself, or the directory, which has to be empty.
        path: RelPath,
    },
    /// The file elsewhere.
    Rename {
        /// The file, or the symbolic link itself.
        path: RelPath,
        /// Where no file may be, as the session sees it.
        to: RelPath,
    },
    /// Other permission bits.
    SetMode {
        /// The file.
        path: RelPath,
        /// The bits, without setuid and setgid.
        mode: u32,
    },
    /// A change of a file that has to be what the agent read; refused as stale when it is not.
    Expecting {
        /// The content of the file as the session sees it.
        base: Digest,
        /// What to do then.
        proposal: Box<Proposal>,
    },
}

impl Proposal {
    /// The file it is about, as the agent named it.
    pub fn path(&self) -> &RelPath {
        match self {
            Self::Write { path, .. }
            | Self::WriteFrom { path, .. }
            | Self::Edit { path, .. }
            | Self::Symlink { path, .. }
            | Self::CreateDirectory { path }
            | Self::Delete { path }
            | Self::Rename { path, .. }
            | Self::SetMode { path, .. } => path,
            Self::Expecting { proposal, .. } => proposal.path(),
        }
    }

    /// Whether it is about a name, and not about what is behind it if that is a symbolic link.
    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Self::Symlink { .. } | Self::CreateDirectory { .. } => Meaning::Name,
            Self::Delete { .. } | Self::Rename { .. } => Meaning::Name,
            Self::Expecting { proposal, .. } => proposal.meaning(),
            Self::Write { .. } | Self::WriteFrom { .. } => Meaning::Content,
            Self::Edit { .. } | Self::SetMode { .. } => Meaning::Content,
        }
    }

    /// How much of the file it reads.
    pub(super) fn reading(&self) -> Reading {
        match self {
            Self::Write { .. } | Self::WriteFrom { .. } | Self::Delete { .. } => Reading::Base,
            Self::Symlink { .. } | Self::CreateDirectory { .. } => Reading::Base,
            Self::Rename { .. } | Self::SetMode { .. } => Reading::BaseToStage,
            Self::Edit { .. } => Reading::BaseToEdit,
            Self::Expecting { proposal, .. } => proposal.reading(),
        }
    }

    /// How many bytes of content it holds in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Write { content, .. } => content.len(),
            Self::Edit { old, new, .. } => old.len() + new.len(),
            Self::Expecting { proposal, .. } => proposal.bytes(),
            Self::Symlink { target, .. } => target.len(),
            Self::WriteFrom { .. } | Self::CreateDirectory { .. } | Self::Delete { .. } => 0,
            Self::Rename { .. } | Self::SetMode { .. } => 0,
        }
    }
}

/// What a proposal came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposed {
    /// The patch now pending; `None` when the session now wants nothing else
    /// than what is on disk.
    pub patch: Option<Patch>,
    /// Other patches that the session now has because of it: a write to a path
    /// that was renamed away splits the rename.
    pub also_changed: Vec<Patch>,
    /// The patch that this one replaced, or that was taken back.
    pub superseded: Option<PatchId>,
    /// Other sessions with a pending patch on the same file.
    pub also_pending_in: Vec<SessionId>,
    /// Whether the pending patch is gone, or none was needed: what is proposed
    /// is what is on disk.
    pub withdrawn: bool,
}

/// Picks patches by patch or by session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// One patch.
    Patch(PatchId),
    /// Everything pending in a session.
    Session(SessionId),
    /// Everything pending in the session of this label.
    Label(String),
}

impl FromStr for Selector {
    type Err = IdParseError;

    /// `p1` is a patch, `s1` a session, anything else a session's label.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Patch(id));
        }
        Ok(text.parse().map_or_else(|_| Self::Label(text.to_owned()), Self::Session))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Patch(id) => id.fmt(f),
            Self::Session(id) => id.fmt(f),
            Self::Label(label) => f.write_str(label),
        }
    }
}

/// Patches that were picked, with what approving them names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The pending ones, by path.
    pub patches: Vec<Patch>,
    /// Their signature as a set.
    pub signature: Signature,
    /// Picked ones that turned out stale and are discarded now.
    pub stale: Vec<Patch>,
    /// What is missing of the picked sessions, and of what was staged together with a picked
    /// patch: stale and expired patches that nobody has refreshed or dismissed. Applying the
    /// rest has to be asked for.
    pub lapsed: Vec<Patch>,
}

/// Everything that is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The open sessions; one that ended, or whose process is gone, only if a patch of it is
    /// pending or lapsed.
    pub sessions: Vec<SessionStatus>,
    /// The signature of everything pending as one set.
    pub signature: Signature,
    /// Patches that turned out stale and are discarded now.
    pub stale: Vec<Patch>,
    /// Files that several sessions want to change: once one of them is applied,
    /// the others are stale.
    pub contested: Vec<Contested>,
    /// Whether an earlier apply was broken off and waits for recovery.
    pub needs_recovery: bool,
    /// Names of files in `journal/` of applies that are running, or wait for recovery.
    pub open_journals: Vec<String>,
    /// Applies that recovery could not decide and that wait for a person.
    pub in_doubt: Vec<InDoubtApply>,
    /// Names of files in `journal/` that recovery does not act on.
    pub quarantined: Vec<String>,
    /// Files in `conflicts/`: bytes of users' edits that could not stay in place, until
    /// somebody takes them away.
    pub kept: Vec<PathBuf>,
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

/// One session's part of the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The session.
    pub session: Session,
    /// The signature of its pending patches as one set.
    pub signature: Signature,
    /// Its pending patches, by path.
    pub patches: Vec<Patch>,
    /// Its stale and expired patches that nobody has refreshed or dismissed, by path.
    pub lapsed: Vec<Patch>,
}

/// How to write a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// Unchanged lines around each hunk.
    pub context_lines: u32,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { context_lines: 3 }
    }
}

/// What to bring to the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyRequest {
    /// Which patches; everything pending when empty.
    pub ids: Vec<Selector>,
    /// The signature that was approved.
    pub expect: Option<Signature>,
    /// Whether files may be replaced as a whole, without a diff.
    pub confirm_full_replace: bool,
    /// Whether to check everything and change nothing.
    pub dry_run: bool,
    /// Whether to apply what is left of a set that lost patches to staleness or expiry; it is
    /// refused otherwise.
    pub rest: bool,
    /// A name for asking how it ended; the same name is applied once at most.
    pub request: Option<RequestId>,
    /// The client by whose word it is approved, when no reviewer said so to Greenroom itself.
    /// It approves less: see [`attestable`](crate::attestable).
    pub attested_by: Option<ClientAttestation>,
    /// How the approval was given, for the log.
    pub approval: Approval,
    /// Whether it changes agents' settings for Greenroom itself: a plain undo passes over it.
    pub is_own: bool,
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

/// An undone apply to be applied again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedoRequest {
    /// Which; the one that was undone last when not given.
    pub apply: Option<ApplyId>,
    /// The signature that was approved.
    pub expect: Option<Signature>,
    /// How the approval was given, for the log.
    pub approval: Approval,
}

/// What a redo came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedoReport {
    /// The undone apply that was repeated.
    pub redone: ApplyId,
    /// The new apply.
    pub report: ApplyReport,
}

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
