//! Errors of the staging layer, their kinds and their messages.

use std::io;
use std::path::PathBuf;

use atomic_fs::{Digest, FsError, FsErrorKind, PathError, Refusal, RelPath};
use patch_formats::{NearMiss, PatchError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::session::SessionState;
use crate::signature::Signature;

/// The result of every call of the layer.
pub type Result<T, E = StagingError> = std::result::Result<T, E>;

/// The kinds of errors, for programs that react to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request makes no sense as it is.
    Usage,
    /// There is no such session, patch or file.
    NotFound,
    /// An edit's old text is not in the file exactly once.
    NoMatch,
    /// The file changed since the agent saw it.
    Stale,
    /// The request contradicts something that is pending or on disk.
    Conflict,
    /// The path or the mode is protected.
    Refused,
    /// What is pending now differs from what was approved.
    SignatureMismatch,
    /// Files are replaced as a whole, and the request does not confirm that.
    ConfirmationMissing,
    /// The session is not open any more, or the patch or apply was decided before.
    Closed,
    /// A limit is reached.
    Limit,
    /// Another call or process uses what this call needs; try again.
    Busy,
    /// It is not certain that an apply is on disk, or that it is recorded; recovery decides.
    InDoubt,
    /// A system call failed.
    Io,
    /// Stored content, or the store, is not what was written.
    Damaged,
    /// The store failed.
    Store,
    /// The file system lacks a call that the protocol needs.
    Unsupported,
    /// The actor that answers such calls has stopped.
    Stopped,
    /// The call panicked, which is a defect of Greenroom.
    Panicked,
}

/// A staging call failed. Unless its kind is [`InDoubt`](ErrorKind::InDoubt), the workspace is
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

/// Maps what a person can act on to an error that says how.
impl From<rusqlite::Error> for StagingError {
    fn from(source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        if let rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) = source
        {
            return Self::DamagedStore { reason: source.to_string() };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                let reason = format!(
                    "{source}; the workspace is unchanged. `greenroom doctor` shows details. To go \
                     on without the pending patches, move `store.sqlite` and its `-wal` and `-shm` \
                     out of the state directory"
                );
                Self::DamagedStore { reason }
            }
            Some(ErrorCode::DiskFull) => Self::StateUnwritable { reason: DISK_FULL },
            // SQLite does not report why it cannot open a file.
            Some(ErrorCode::CannotOpen) if is_out_of_descriptors() => Self::TooManyFiles,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::StateUnwritable { reason: "make it writable, or name another" }
            }
            _ => Self::Store { source },
        }
    }
}

/// How many files a connection opens: the database, its log, the log's index, their directory.
const SQLITE_FILES: usize = 4;

/// Whether this process has too few free file descriptors for a connection to the store.
fn is_out_of_descriptors() -> bool {
    let mut opened = Vec::with_capacity(SQLITE_FILES);
    for _ in 0..SQLITE_FILES {
        match std::fs::File::open(std::path::Component::CurDir.as_os_str()) {
            Ok(file) => opened.push(file),
            Err(error) => return is_too_many_files(&error),
        }
    }
    false
}

/// Whether opening a file failed at the limit of open files.
#[cfg(unix)]
fn is_too_many_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let too_many = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    too_many.contains(&error.raw_os_error())
}

/// Whether opening a file failed at the limit of open files.
#[cfg(not(unix))]
fn is_too_many_files(error: &io::Error) -> bool {
    const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
    error.raw_os_error() == Some(ERROR_TOO_MANY_OPEN_FILES)
}

const DISK_FULL: &str = "its disk is full: free some space there, or run `greenroom gc`";

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

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.about().0
    }

    /// The file that the error is about, the first of several.
    pub fn path(&self) -> Option<&RelPath> {
        self.about().1
    }

    /// The patches that the error is about; empty when it is about none.
    pub fn patches(&self) -> Vec<PatchId> {
        self.about().2
    }

    /// The kind, the file and the patches of each error, in one place without a `_` arm, so that a
    /// new error names all three.
    fn about(&self) -> (ErrorKind, Option<&RelPath>, Vec<PatchId>) {
        use ErrorKind as Kind;
        let kind = |kind| (kind, None, Vec::new());
        let file = |kind, path| (kind, Some(path), Vec::new());
        match self {
            Self::Fs(source) | Self::RolledBack { source, .. } => {
                (fs_kind(source), source.path(), Vec::new())
            }
            Self::InDoubt { source, .. } => (Kind::InDoubt, source.path(), Vec::new()),
            Self::BadLabel { .. } | Self::Usage { .. } => kind(Kind::Usage),
            Self::Patch(_) | Self::Diff { .. } => kind(Kind::Usage),
            Self::SessionNotFound { .. } | Self::NothingPending => kind(Kind::NotFound),
            Self::NothingToUndo | Self::NothingToRedo | Self::ApplyNotFound { .. } => {
                kind(Kind::NotFound)
            }
            Self::PatchNotFound { patch } => (Kind::NotFound, None, vec![*patch]),
            Self::NothingLeft => kind(Kind::NotFound),
            Self::NoSuchFile { path } | Self::NothingAt { path } => file(Kind::NotFound, path),
            Self::NoMatch { path, .. } | Self::PatchMisfit { path, .. } => {
                file(Kind::NoMatch, path)
            }
            Self::UndoConflict { path, .. } | Self::NotTheBase { path, .. } => {
                file(Kind::Stale, path)
            }
            Self::Stale { patches } | Self::LostParts { patches } => several(Kind::Stale, patches),
            Self::ConfirmationMissing { patches } => several(Kind::ConfirmationMissing, patches),
            Self::TargetExists { path }
            | Self::DirectoryNotEmpty { path }
            | Self::PathBlocked { path, .. } => file(Kind::Conflict, path),
            Self::Conflict { path, patches, .. } => {
                (Kind::Conflict, Some(path), vec![patches.0, patches.1])
            }
            Self::MergeConflict { path, patch, .. } => (Kind::Conflict, Some(path), vec![*patch]),
            Self::Incomplete { path, patch, needs } => {
                (Kind::Conflict, Some(path), vec![*patch, *needs])
            }
            Self::Path(_) | Self::StateDir { .. } => kind(Kind::Refused),
            Self::ModeRefused { path, .. } => file(Kind::Refused, path),
            Self::NotEditable { path, patch, .. } => (Kind::Refused, Some(path), vec![*patch]),
            Self::NotByClient { path, patch } => (Kind::Refused, Some(path), vec![*patch]),
            Self::SignatureMismatch { .. } | Self::NotCovered { .. } => {
                kind(Kind::SignatureMismatch)
            }
            Self::OtherRevision { patch, .. } => (Kind::SignatureMismatch, None, vec![*patch]),
            Self::Rewritten { patches } => several(Kind::SignatureMismatch, patches),
            Self::EarlierRevision { patch, .. } => (Kind::Closed, None, vec![*patch]),
            Self::SessionNotOpen { .. } | Self::AlreadyAsked { .. } => kind(Kind::Closed),
            Self::NotUndoable { .. } | Self::NotRedoable { .. } => kind(Kind::Closed),
            Self::NotPending { patch, .. } | Self::NotRefreshable { patch, .. } => {
                (Kind::Closed, None, vec![*patch])
            }
            Self::Limit { .. } | Self::PatchTooLarge { .. } => kind(Kind::Limit),
            Self::Busy { .. } => kind(Kind::Busy),
            Self::HeldInDoubt { .. } | Self::NotRecorded { .. } => kind(Kind::InDoubt),
            Self::NotRecovered { .. } => kind(Kind::InDoubt),
            Self::Damaged { path, .. } => file(Kind::Damaged, path),
            Self::DamagedStore { .. } => kind(Kind::Damaged),
            Self::NewerStore { .. } | Self::NotCommitted { .. } => kind(Kind::Store),
            Self::StateUnwritable { .. } => kind(Kind::Store),
            Self::Store { source } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                    kind(Kind::Busy)
                }
                _ => kind(Kind::Store),
            },
            Self::ContentUnreadable { path, .. } => file(Kind::Io, path),
            Self::TooManyFiles | Self::Io { .. } | Self::Output { .. } => kind(Kind::Io),
        }
    }
}

fn several(kind: ErrorKind, patches: &[Patch]) -> (ErrorKind, Option<&RelPath>, Vec<PatchId>) {
    let first = patches.first().map(|patch| &patch.path);
    (kind, first, patches.iter().map(|patch| patch.id).collect())
}

fn fs_kind(error: &FsError) -> ErrorKind {
    match error.kind() {
        FsErrorKind::Io => ErrorKind::Io,
        FsErrorKind::Refused => ErrorKind::Refused,
        FsErrorKind::Busy => ErrorKind::Busy,
        FsErrorKind::Damaged => ErrorKind::Damaged,
        FsErrorKind::Conflict | FsErrorKind::BadChangeSet | FsErrorKind::NotRecovered => {
            ErrorKind::Conflict
        }
        FsErrorKind::Unsupported => ErrorKind::Unsupported,
    }
}

fn no_match_advice(found: u64, near: Option<NearMiss>) -> String {
    match near {
        Some(near) => near.to_string(),
        None if found == 0 => "read the file again".to_owned(),
        None => "name more of its surroundings, or replace all".to_owned(),
    }
}

fn stale_message(patches: &[Patch]) -> String {
    let is_expired = |patch: &&Patch| patch.reason == Some(DiscardReason::SessionExpired);
    let (expired, stale): (Vec<&Patch>, Vec<&Patch>) = patches.iter().partition(is_expired);
    let mut parts = Vec::new();
    if !stale.is_empty() {
        parts.push(format!("{} changed since the agent read it", listed(stale)));
    }
    if !expired.is_empty() {
        parts.push(format!("the session of {} expired", listed(expired)));
    }
    parts.join("; ")
}

fn rewritten_message(patches: &[Patch]) -> String {
    if let [patch] = patches {
        return format!("{} was rewritten: it is at revision {}", patch.id, patch.revision);
    }
    let named = patches.iter().map(|patch| format!("{} (revision {})", patch.id, patch.revision));
    format!("patches were rewritten: {}", shortened(named.collect()))
}

fn lost_message(patches: &[Patch]) -> String {
    let named = patches.iter().map(|patch| {
        let why = match patch.reason {
            Some(DiscardReason::SessionExpired) => "expired",
            _ => "stale",
        };
        format!("`{}` ({}, {why})", patch.path, patch.id)
    });
    format!("parts of the set are missing: {}", shortened(named.collect()))
}

/// The paths and ids of patches, up to a limit.
fn listed<'p>(patches: impl IntoIterator<Item = &'p Patch>) -> String {
    let named = patches.into_iter().map(|patch| format!("`{}` ({})", patch.path, patch.id));
    shortened(named.collect())
}

/// The first names, and how many more there are.
fn shortened(mut named: Vec<String>) -> String {
    const NAMED_MAX: usize = 20;
    let more = named.len().saturating_sub(NAMED_MAX);
    named.truncate(NAMED_MAX);
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The error and its causes, joined with colons.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        // A transparent error repeats its source.
        if !sentence.ends_with(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = next.source();
    }
    sentence
}
