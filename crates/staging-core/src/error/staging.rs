//! The errors of the staging layer.

use std::io;
use std::path::PathBuf;

use atomic_fs::{Digest, FsError, PathError, Refusal, RelPath};
use patch_formats::{NearMiss, PatchError};

use super::messages::{listed, lost_message, no_match_advice, rewritten_message, stale_message};
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::session::SessionState;
use crate::signature::Signature;

/// The result of every call of the layer.
pub type Result<T, E = StagingError> = std::result::Result<T, E>;

/// A staging call failed. Unless its kind is [`InDoubt`](crate::ErrorKind::InDoubt), the workspace is
/// unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagingError {
    /// The workspace refused a path, or a system call on it failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The text is not a path in the workspace.
    #[error(transparent)]
    Path(#[from] PathError),
    /// No session has this id or label.
    #[error("there is no session `{name}`: `session list` shows them")]
    SessionNotFound {
        /// The id or label, escaped.
        name: String,
    },
    /// The session was closed or has expired.
    #[error("session {session} is {}: open a new one", state.as_str())]
    SessionNotOpen {
        /// The session.
        session: SessionId,
        /// Closed or expired.
        state: SessionState,
    },
    /// The text cannot be a session's label.
    #[error("`{label}` cannot be a session's label: {reason}")]
    BadLabel {
        /// The label, escaped.
        label: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No patch has this id.
    #[error("there is no patch {patch}: `status` shows what is pending")]
    PatchNotFound {
        /// The id.
        patch: PatchId,
    },
    /// The patch was decided before.
    #[error(
        "patch {patch} is {state}{}: nothing is left to decide",
        reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
    )]
    NotPending {
        /// The patch.
        patch: PatchId,
        /// Applied or discarded.
        state: PatchState,
        /// Why it was discarded; `None` when it was applied.
        reason: Option<DiscardReason>,
    },
    /// The patch is what another one proposed before it was rewritten.
    #[error("{patch} is an earlier revision of {of}: nothing is left to decide about it")]
    EarlierRevision {
        /// The earlier revision.
        patch: PatchId,
        /// The patch that goes on.
        of: PatchId,
    },
    /// Patches were rewritten by their agents, and the request does not show that they were read since.
    #[error("{}", rewritten_message(patches))]
    Rewritten {
        /// The patches as they are now.
        patches: Vec<Patch>,
    },
    /// The patch has another revision than the one that is named, or was read.
    #[error("{patch} is at revision {found}, not {named}: review it again")]
    OtherRevision {
        /// The patch.
        patch: PatchId,
        /// The revision that is named, or was read.
        named: u32,
        /// The revision that it has.
        found: u32,
    },
    /// The request selects no pending patch.
    #[error("nothing is pending")]
    NothingPending,
    /// No patch waits at a path that a selection names.
    #[error("nothing is pending at `{path}`")]
    NothingAt {
        /// The path.
        path: RelPath,
    },
    /// The exceptions of a selection leave nothing of it.
    #[error("the exceptions leave nothing of what is selected")]
    NothingLeft,
    /// The apply cannot be undone, whatever the files hold.
    #[error("{apply} cannot be undone: {reason}")]
    NotUndoable {
        /// The apply.
        apply: ApplyId,
        /// Why it cannot be undone.
        reason: String,
    },
    /// No apply has this id.
    #[error("there is no apply {apply}: `applies` lists what was applied and undone")]
    ApplyNotFound {
        /// The id.
        apply: ApplyId,
    },
    /// No apply can be undone.
    #[error("there is nothing to undo")]
    NothingToUndo,
    /// Files differ from what was applied.
    #[error("{apply} cannot be undone, files changed since: {reason}")]
    UndoConflict {
        /// The apply.
        apply: ApplyId,
        /// The first changed file.
        path: RelPath,
        /// Every changed file, and how it differs.
        reason: String,
    },
    /// The session sees no file at the path.
    #[error("there is no file `{path}`")]
    NoSuchFile {
        /// The path.
        path: RelPath,
    },
    /// A rename would overwrite a file.
    #[error("`{path}` exists: delete it first, or choose another name")]
    TargetExists {
        /// The rename's target.
        path: RelPath,
    },
    /// A directory to delete is not empty.
    #[error("`{path}` is a directory that is not empty: delete what is in it first")]
    DirectoryNotEmpty {
        /// The directory.
        path: RelPath,
    },
    /// A parent of the path is a file, or the path is a parent of files.
    #[error("`{path}` cannot be a file: `{other}` is one")]
    PathBlocked {
        /// The path.
        path: RelPath,
        /// The parent or child that is a file.
        other: RelPath,
    },
    /// An edit's old text is not in the file exactly once.
    #[error(
        "the text to replace occurs {found} times in `{path}`, not once: {}",
        no_match_advice(*found, *near)
    )]
    NoMatch {
        /// The file.
        path: RelPath,
        /// How often the text occurs.
        found: u64,
        /// A similar text in the file, and how it differs.
        near: Option<NearMiss>,
    },
    /// The text is not a patch that can be parsed.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A hunk of a patch does not fit its file.
    #[error("the patch does not fit `{path}`: {reason}")]
    PatchMisfit {
        /// The file.
        path: RelPath,
        /// Which hunk, what it expects and what the file holds.
        reason: String,
    },
    /// The file's content differs from the content that the proposal names as its base.
    #[error(
        "`{path}` is not what the proposal was made from: it is {}, not {expected}; read the file again",
        found.map_or("absent".to_owned(), |found| found.to_string())
    )]
    NotTheBase {
        /// The file.
        path: RelPath,
        /// The digest that the proposal names.
        expected: Digest,
        /// The digest of the file that the session sees; `None` when it sees none.
        found: Option<Digest>,
    },
    /// The request makes no sense as it is.
    #[error("{reason}")]
    Usage {
        /// What is wrong with the request.
        reason: String,
    },
    /// The mode has setuid or setgid bits, or bits that are not permissions.
    #[error("mode {mode:o} of `{path}` is refused: only permission bits up to 1777 are staged")]
    ModeRefused {
        /// The file.
        path: RelPath,
        /// The mode that the request names.
        mode: u32,
    },
    /// Files changed since the agent read them, or sessions expired; the patches are discarded.
    #[error("{}", stale_message(patches))]
    Stale {
        /// The discarded patches.
        patches: Vec<Patch>,
    },
    /// Patches of the set are stale or expired, and were neither refreshed nor dismissed.
    #[error("{}", lost_message(patches))]
    LostParts {
        /// The stale and expired patches.
        patches: Vec<Patch>,
    },
    /// The apply cannot be redone.
    #[error("{apply} cannot be redone: {reason}")]
    NotRedoable {
        /// The apply.
        apply: ApplyId,
        /// Why it cannot be redone.
        reason: String,
    },
    /// No undone apply can be redone.
    #[error("there is nothing to redo")]
    NothingToRedo,
    /// Patches of two sessions change the same file.
    #[error(
        "{} of session {} and {} of session {} both concern `{path}`: apply or discard one first",
        patches.0, sessions.0, patches.1, sessions.1
    )]
    Conflict {
        /// The file.
        path: RelPath,
        /// The two patches.
        patches: (PatchId, PatchId),
        /// Their sessions.
        sessions: (SessionId, SessionId),
    },
    /// The patch cannot be proposed again from the file as it is now.
    #[error("{patch} cannot be refreshed: {reason}")]
    NotRefreshable {
        /// The patch.
        patch: PatchId,
        /// Why it cannot be refreshed.
        reason: String,
    },
    /// The reviewer cannot edit the patch as a text.
    #[error("{patch} `{path}` cannot be edited: {reason}")]
    NotEditable {
        /// The patch.
        patch: PatchId,
        /// Its file.
        path: RelPath,
        /// Why it cannot be edited.
        reason: String,
    },
    /// The patch and the file's present content change the same lines.
    #[error("{patch} cannot be merged into `{path}`: {reason}; have the agent read it again")]
    MergeConflict {
        /// The patch.
        patch: PatchId,
        /// The file.
        path: RelPath,
        /// Which lines, or what else prevents the merge.
        reason: String,
    },
    /// A selected rename needs the place that an unselected patch frees.
    #[error("{patch} moves a file to `{path}`, which {needs} frees: select both")]
    Incomplete {
        /// The rename.
        patch: PatchId,
        /// The patch that must be selected too.
        needs: PatchId,
        /// The rename's target.
        path: RelPath,
    },
    /// What is pending now differs from what was approved.
    #[error("the set's signature is {found}, not {expected}: it changed since, review it again")]
    SignatureMismatch {
        /// The signature that was approved.
        expected: Signature,
        /// The signature of what is pending.
        found: Signature,
    },
    /// No rule approves the set as it is now.
    #[error("no rule approves the set any more: {reason}")]
    NotCovered {
        /// Why none does.
        reason: String,
    },
    /// Files are replaced as a whole, without a diff, and the request does not confirm that.
    #[error(
        "replaced as a whole, without a diff to read: {}; confirm the full replacement",
        listed(patches)
    )]
    ConfirmationMissing {
        /// The patches that replace a file as a whole.
        patches: Vec<Patch>,
    },
    /// The file decides which programs run or who approves: approval through a client is refused.
    #[error(
        "{patch} changes `{path}`, which is never approved through a client: use `greenroom apply {patch}` at the terminal"
    )]
    NotByClient {
        /// The patch.
        patch: PatchId,
        /// Its guarded path.
        path: RelPath,
    },
    /// A limit is reached.
    #[error("{what} is limited to {max}: apply or discard what is pending first")]
    Limit {
        /// What is limited, with its unit.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// The patch changes more files than a session may have patches.
    #[error(
        "the patch changes {files} files, and a session has at most {max} patches: propose it in parts"
    )]
    PatchTooLarge {
        /// How many files it changes.
        files: usize,
        /// How many patches a session may have pending.
        max: u32,
    },
    /// Another call or process uses what this call needs.
    #[error("{what}: try again")]
    Busy {
        /// What is in use, and by whom.
        what: String,
    },
    /// A request of this name was applied before.
    #[error("a request of this name was made before: {apply} {how}; use a new name")]
    AlreadyAsked {
        /// The apply of the earlier request.
        apply: ApplyId,
        /// How it ended.
        how: &'static str,
    },
    /// The apply failed; the workspace is unchanged and the patches stay pending.
    #[error("{apply} failed and was rolled back, nothing changed")]
    RolledBack {
        /// The apply.
        apply: ApplyId,
        /// The failure.
        source: FsError,
    },
    /// A sync failed after the swaps: a power cut could undo some of them.
    #[error(
        "{apply} is in doubt: the files are swapped but may not survive a power cut; `recover` decides"
    )]
    InDoubt {
        /// The apply.
        apply: ApplyId,
        /// The failure.
        source: FsError,
    },
    /// The patches belong to an apply in doubt, which a person has to settle first.
    #[error("{apply} is in doubt, and these patches are a part of it")]
    HeldInDoubt {
        /// The apply.
        apply: ApplyId,
    },
    /// The set is on disk, but the store does not record it yet.
    #[error("{apply} is on the disk, but that could not be recorded; the next command records it")]
    NotRecorded {
        /// The apply.
        apply: ApplyId,
        /// Why it could not be recorded.
        source: Box<StagingError>,
    },
    /// An earlier apply could not be recovered.
    #[error("the workspace could not be recovered from an earlier apply: {reason}")]
    NotRecovered {
        /// Why recovery failed.
        reason: String,
    },
    /// The store was written by a newer version.
    #[error(
        "the store has schema {found}, this version knows {known}: use the version that wrote it"
    )]
    NewerStore {
        /// The store's schema.
        found: u32,
        /// The newest schema that this version can read.
        known: u32,
    },
    /// The state directory is unsafe, or belongs to another workspace.
    #[error("the state directory `{}` {reason}", path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// Stored content is missing or not what it was.
    #[error(
        "stored content of `{path}` is damaged: {reason}; discard the patch and have it proposed again"
    )]
    Damaged {
        /// The file of the patch.
        path: RelPath,
        /// What is wrong with the content.
        reason: String,
    },
    /// Stored content could not be read; it may be intact.
    #[error("cannot read the stored content of `{path}`")]
    ContentUnreadable {
        /// The file of the patch.
        path: RelPath,
        /// The system's error.
        source: io::Error,
    },
    /// The process has reached its limit of open files.
    #[error("too many files are open: raise the limit (`ulimit -n`)")]
    TooManyFiles,
    /// The database is corrupt, or holds a row that no version writes.
    #[error("the store is damaged: {reason}")]
    DamagedStore {
        /// What is wrong.
        reason: String,
    },
    /// SQLite failed.
    #[error("cannot use the store")]
    Store {
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The transaction was rolled back.
    #[error("cannot write to the store: {reason}")]
    NotCommitted {
        /// Why it was rolled back.
        reason: String,
    },
    /// The state directory is read-only, or its disk is full.
    #[error("the state directory cannot be written to: {reason}")]
    StateUnwritable {
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// A diff strategy is unknown, or its library cannot be loaded.
    #[error("the diff engine failed: {reason}")]
    Diff {
        /// The engine's error.
        reason: String,
    },
    /// A system call outside of the workspace failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What the call does, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Writing to the caller's output failed: a closed pipe, a full disk.
    #[error("cannot write the output")]
    Output {
        /// The system's error.
        source: io::Error,
    },
}

pub(super) const DISK_FULL: &str = "its disk is full: free some space there, or run `greenroom gc`";

impl StagingError {
    /// Bad input.
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::Usage { reason: reason.into() }
    }

    /// The error for a decision about a patch that was decided before.
    pub(crate) fn not_pending(patch: &Patch) -> Self {
        match patch.revision_of {
            Some(of) => Self::EarlierRevision { patch: patch.id, of },
            None => Self::NotPending { patch: patch.id, state: patch.state, reason: patch.reason },
        }
    }

    /// The error for a patch that is not what was read any more.
    pub(crate) fn not_as_read(now: &Patch, read: u32) -> Self {
        match now.state {
            PatchState::Pending => {
                Self::OtherRevision { patch: now.id, named: read, found: now.revision }
            }
            PatchState::Applied | PatchState::Discarded => Self::not_pending(now),
        }
    }

    /// The error for a row that no version writes.
    pub(crate) fn damaged_store(reason: impl Into<String>) -> Self {
        Self::DamagedStore { reason: reason.into() }
    }

    /// The error for a directory where a file is needed.
    pub(crate) fn is_a_directory(path: &RelPath) -> Self {
        let (path, refusal) = (path.clone(), Refusal::NotAFile { kind: "directory" });
        FsError::Refused { path, refusal }.into()
    }

    /// Whether the disk of the state directory is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::StateUnwritable { reason } => *reason == DISK_FULL,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Whether the state directory cannot be written to at present: it is read-only, or its disk
    /// is full.
    pub(crate) fn is_unwritable(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self {
            Self::StateUnwritable { .. } => true,
            Self::Io { source, .. } => {
                self.is_disk_full()
                    || matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
            }
            _ => false,
        }
    }
}
