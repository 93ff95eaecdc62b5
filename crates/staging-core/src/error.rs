//! What can go wrong, of which kind it is, and what to do about it.

use std::io;
use std::path::PathBuf;

use atomic_fs::{Digest, FsError, FsErrorKind, PathError, Refusal, RelPath};
use patch_formats::{NearMiss, PatchError};
use serde::{Deserialize, Serialize};

use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::session::SessionState;
use crate::signature::Signature;

/// The result of every call of the layer.
pub type Result<T, E = StagingError> = std::result::Result<T, E>;

/// The kinds of errors, as machines tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Something else than what was approved is pending now.
    SignatureMismatch,
    /// A full replacement wants a confirmation.
    ConfirmationMissing,
    /// The session or the patch is not open or pending any more.
    Closed,
    /// A limit is reached.
    Limit,
    /// Something else is at it; try again.
    Busy,
    /// A sync failed after the swaps: recovery decides.
    InDoubt,
    /// The system failed a call.
    Io,
    /// Stored content is not what it was.
    Damaged,
    /// The store failed.
    Store,
    /// The file system lacks a call that the protocol needs.
    Unsupported,
    /// The part of Greenroom that has to do it has stopped.
    Stopped,
    /// The work panicked, which is a defect of Greenroom.
    Panicked,
}

/// A staging call failed. Unless its kind is `in_doubt`, the workspace is as it
/// was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagingError {
    /// The workspace refused or failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The path is not one.
    #[error(transparent)]
    Path(#[from] PathError),
    /// No session has this id or label.
    #[error("there is no session `{name}`: `session list` shows them")]
    SessionNotFound {
        /// What was asked for.
        name: String,
    },
    /// The session takes no proposals any more.
    #[error("session {session} is {}: open a new one", state.as_str())]
    SessionNotOpen {
        /// The session.
        session: SessionId,
        /// How it stands.
        state: SessionState,
    },
    /// The label cannot be one.
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
        /// What was asked for.
        patch: PatchId,
    },
    /// The patch was decided already.
    #[error(
        "patch {patch} is {state}{}: nothing is left to decide",
        reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
    )]
    NotPending {
        /// The patch.
        patch: PatchId,
        /// How it stands.
        state: PatchState,
        /// Why it was discarded.
        reason: Option<DiscardReason>,
    },
    /// Nothing is pending where something was to be applied.
    #[error("nothing is pending")]
    NothingPending,
    /// The apply cannot be taken back, whatever the files hold.
    #[error("{apply} cannot be undone: {reason}")]
    NotUndoable {
        /// The apply.
        apply: ApplyId,
        /// Why.
        reason: String,
    },
    /// Nothing was applied that could be taken back.
    #[error("there is nothing to undo")]
    NothingToUndo,
    /// Files are no longer what was applied.
    #[error("{apply} cannot be undone, files changed since: {reason}")]
    UndoConflict {
        /// The apply.
        apply: ApplyId,
        /// The first of the files.
        path: RelPath,
        /// All of them, and how they differ.
        reason: String,
    },
    /// The session sees no file there.
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
    /// A directory to delete has something in it.
    #[error("`{path}` is a directory that is not empty: delete what is in it first")]
    DirectoryNotEmpty {
        /// The directory.
        path: RelPath,
    },
    /// The path lies below a file, or above files.
    #[error("`{path}` cannot be a file: `{other}` is one")]
    PathBlocked {
        /// The path.
        path: RelPath,
        /// The file in its way.
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
        /// What differs in the file, where it nearly has the text.
        near: Option<NearMiss>,
    },
    /// A patch over many files cannot be read.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A part of a patch does not fit its file.
    #[error("the patch does not fit `{path}`: {reason}")]
    PatchMisfit {
        /// The file.
        path: RelPath,
        /// Which hunk, what is expected and what is there.
        reason: String,
    },
    /// The file is not what the proposal was made from.
    #[error(
        "`{path}` is not what the proposal was made from: it is {}, not {expected}; read the file again",
        found.map_or("absent".to_owned(), |found| found.to_string())
    )]
    NotTheBase {
        /// The file.
        path: RelPath,
        /// The content that was expected.
        expected: Digest,
        /// The content there, if the session sees a file.
        found: Option<Digest>,
    },
    /// The request makes no sense as it is.
    #[error("{reason}")]
    Usage {
        /// What is wrong with it.
        reason: String,
    },
    /// The mode holds setuid or setgid bits, or bits that are no permissions.
    #[error("mode {mode:o} of `{path}` is refused: only permission bits up to 1777 are staged")]
    ModeRefused {
        /// The file.
        path: RelPath,
        /// What was asked for.
        mode: u32,
    },
    /// Files changed since the agent saw them; the patches are discarded.
    #[error("{}", stale_message(patches))]
    Stale {
        /// The patches, discarded as stale.
        patches: Vec<Patch>,
    },
    /// Patches of the set are stale or expired, and nobody has refreshed or dismissed them.
    #[error("{}", lost_message(patches))]
    LostParts {
        /// The patches that the set lacks.
        patches: Vec<Patch>,
    },
    /// The apply cannot be applied again.
    #[error("{apply} cannot be redone: {reason}")]
    NotRedoable {
        /// The apply.
        apply: ApplyId,
        /// Why.
        reason: String,
    },
    /// No apply was undone that can be applied again.
    #[error("there is nothing to redo")]
    NothingToRedo,
    /// Two sessions want different things of one file.
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
    /// The patch cannot be proposed anew.
    #[error("{patch} cannot be refreshed: {reason}")]
    NotRefreshable {
        /// The patch.
        patch: PatchId,
        /// Why.
        reason: String,
    },
    /// The agent and somebody else changed the same lines.
    #[error("{patch} cannot be merged into `{path}`: {reason}; have the agent read it again")]
    MergeConflict {
        /// The patch.
        patch: PatchId,
        /// The file.
        path: RelPath,
        /// Which lines, or what else.
        reason: String,
    },
    /// A rename's target is freed by a patch that was not selected.
    #[error("{patch} moves a file to `{path}`, which {needs} frees: select both")]
    Incomplete {
        /// The rename.
        patch: PatchId,
        /// The patch that must come along.
        needs: PatchId,
        /// The rename's target.
        path: RelPath,
    },
    /// Something else than what was approved is pending now.
    #[error("the set's signature is {found}, not {expected}: it changed since, review it again")]
    SignatureMismatch {
        /// What was approved.
        expected: Signature,
        /// What is pending.
        found: Signature,
    },
    /// Files are replaced as a whole, unseen, which wants a confirmation.
    #[error("{}", confirmation_message(patches))]
    ConfirmationMissing {
        /// The patches it is about.
        patches: Vec<Patch>,
    },
    /// A client's word is not enough for a file that decides what runs or who is asked.
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
        /// What is limited.
        what: &'static str,
        /// To how much.
        max: u64,
    },
    /// A patch over more files than a session may have patches.
    #[error(
        "the patch changes {files} files, and a session has at most {max} patches: propose it in parts"
    )]
    PatchTooLarge {
        /// How many files it changes.
        files: usize,
        /// How many patches a session may have pending.
        max: u32,
    },
    /// Something else is at it.
    #[error("{what}: try again")]
    Busy {
        /// What keeps the call.
        what: String,
    },
    /// A request of this name has had its apply.
    #[error("a request of this name was asked before: {apply} {how}; give a new one a new name")]
    AlreadyAsked {
        /// The apply.
        apply: ApplyId,
        /// How it ended.
        how: &'static str,
    },
    /// The apply failed; everything is as it was and stays pending.
    #[error("{apply} failed and was rolled back, nothing changed")]
    RolledBack {
        /// The apply.
        apply: ApplyId,
        /// What failed.
        source: FsError,
    },
    /// A sync failed after the swaps.
    #[error(
        "{apply} is in doubt: the files are swapped but may not survive a power cut; `recover` decides"
    )]
    InDoubt {
        /// The apply.
        apply: ApplyId,
        /// What failed.
        source: FsError,
    },
    /// Patches that an apply in doubt holds: a person has to settle that one first.
    #[error("{apply} is in doubt, and these patches are a part of it")]
    HeldInDoubt {
        /// The apply.
        apply: ApplyId,
    },
    /// The set is on the disk, and the store does not know it yet.
    #[error("{apply} is on the disk, but that could not be recorded; the next command records it")]
    NotRecorded {
        /// The apply.
        apply: ApplyId,
        /// Why it could not be recorded.
        source: Box<StagingError>,
    },
    /// An earlier apply is in doubt and could not be decided yet.
    #[error("the workspace could not be recovered from an earlier apply: {reason}")]
    NotRecovered {
        /// Why.
        reason: String,
    },
    /// The store was written by a newer version.
    #[error(
        "the store has schema {found}, this version knows {known}: use the version that wrote it"
    )]
    NewerStore {
        /// The store's schema.
        found: u32,
        /// The newest one known.
        known: u32,
    },
    /// The state directory cannot be trusted.
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
        /// The file whose content it is.
        path: RelPath,
        /// What is wrong with it.
        reason: String,
    },
    /// Stored content could not be read; it may be sound.
    #[error("cannot read the stored content of `{path}`")]
    ContentUnreadable {
        /// The file whose content it is.
        path: RelPath,
        /// What the system said.
        source: io::Error,
    },
    /// The process may open no more files.
    #[error("too many files are open: raise the limit (`ulimit -n`)")]
    TooManyFiles,
    /// A row of the store makes no sense.
    #[error("the store is damaged: {reason}")]
    DamagedStore {
        /// What is wrong.
        reason: String,
    },
    /// SQLite failed.
    #[error("the store failed")]
    Store {
        /// What it said.
        source: rusqlite::Error,
    },
    /// What was to be stored was not.
    #[error("the store did not take it: {reason}")]
    NotCommitted {
        /// Why.
        reason: String,
    },
    /// The state directory does not take what is written to it.
    #[error("the state directory cannot be written to: {reason}")]
    StateUnwritable {
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// A strategy library cannot be loaded.
    #[error("the diff engine failed: {reason}")]
    Diff {
        /// What it said.
        reason: String,
    },
    /// The system failed a call outside of the workspace.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is written to failed: a closed pipe, a full disk.
    #[error("cannot write the output")]
    Output {
        /// What the system said.
        source: io::Error,
    },
}

/// What SQLite said, as what a person can do about it.
impl From<rusqlite::Error> for StagingError {
    fn from(source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                let reason = format!(
                    "{source}; the workspace is not touched by that. `greenroom doctor` looks \
                     closer. To go on without what was pending, move `store.sqlite` and its \
                     `-wal` and `-shm` out of the state directory"
                );
                Self::DamagedStore { reason }
            }
            Some(ErrorCode::DiskFull) => Self::StateUnwritable { reason: DISK_FULL },
            // SQLite does not pass on why it cannot open a file.
            Some(ErrorCode::CannotOpen) if is_out_of_descriptors() => Self::TooManyFiles,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::StateUnwritable { reason: "make it writable, or name another" }
            }
            _ => Self::Store { source },
        }
    }
}

/// The database, its log, the log's index and their directory.
const SQLITE_FILES: usize = 4;

/// Whether this process could not open as many files now as a connection to the store needs.
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

/// Whether the system refused to open one file more.
#[cfg(unix)]
fn is_too_many_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let too_many = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    too_many.contains(&error.raw_os_error())
}

/// Whether the system refused to open one file more.
#[cfg(not(unix))]
fn is_too_many_files(error: &io::Error) -> bool {
    const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
    error.raw_os_error() == Some(ERROR_TOO_MANY_OPEN_FILES)
}

const DISK_FULL: &str = "its disk is full: free some space there, or run `greenroom gc`";

impl StagingError {
    /// A request that makes no sense as it is.
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::Usage { reason: reason.into() }
    }

    /// A decision about a patch that was decided before.
    pub(crate) fn not_pending(patch: &Patch) -> Self {
        Self::NotPending { patch: patch.id, state: patch.state, reason: patch.reason }
    }

    /// A row that this version cannot have written.
    pub(crate) fn damaged_store(reason: impl Into<String>) -> Self {
        Self::DamagedStore { reason: reason.into() }
    }

    /// A directory where a file is needed.
    pub(crate) fn is_a_directory(path: &RelPath) -> Self {
        let (path, refusal) = (path.clone(), Refusal::NotAFile { kind: "directory" });
        FsError::Refused { path, refusal }.into()
    }

    /// Whether the disk that the state lies on is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::StateUnwritable { reason } => *reason == DISK_FULL,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Whether the state directory takes nothing at present: it is read-only or full.
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

    /// Which kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fs(source) => fs_kind(source),
            Self::Path(_) | Self::ModeRefused { .. } => ErrorKind::Refused,
            Self::SessionNotFound { .. } | Self::PatchNotFound { .. } | Self::NoSuchFile { .. } => {
                ErrorKind::NotFound
            }
            Self::SessionNotOpen { .. } | Self::NotPending { .. } => ErrorKind::Closed,
            Self::NothingPending | Self::NothingToUndo | Self::NothingToRedo => ErrorKind::NotFound,
            Self::NotUndoable { .. } | Self::NotRedoable { .. } => ErrorKind::Closed,
            Self::UndoConflict { .. } => ErrorKind::Stale,
            Self::BadLabel { .. } | Self::Usage { .. } | Self::Patch(_) => ErrorKind::Usage,
            Self::NoMatch { .. } | Self::PatchMisfit { .. } => ErrorKind::NoMatch,
            Self::Stale { .. } | Self::LostParts { .. } | Self::NotTheBase { .. } => {
                ErrorKind::Stale
            }
            Self::TargetExists { .. }
            | Self::DirectoryNotEmpty { .. }
            | Self::PathBlocked { .. }
            | Self::Conflict { .. }
            | Self::MergeConflict { .. }
            | Self::Incomplete { .. } => ErrorKind::Conflict,
            Self::NotRefreshable { .. } | Self::AlreadyAsked { .. } => ErrorKind::Closed,
            Self::SignatureMismatch { .. } => ErrorKind::SignatureMismatch,
            Self::NotByClient { .. } => ErrorKind::Refused,
            Self::ConfirmationMissing { .. } => ErrorKind::ConfirmationMissing,
            Self::Limit { .. } | Self::PatchTooLarge { .. } => ErrorKind::Limit,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::RolledBack { source, .. } => fs_kind(source),
            Self::InDoubt { .. }
            | Self::HeldInDoubt { .. }
            | Self::NotRecorded { .. }
            | Self::NotRecovered { .. } => ErrorKind::InDoubt,
            Self::StateDir { .. } => ErrorKind::Refused,
            Self::Damaged { .. } | Self::DamagedStore { .. } => ErrorKind::Damaged,
            Self::NewerStore { .. } | Self::NotCommitted { .. } => ErrorKind::Store,
            Self::StateUnwritable { .. } => ErrorKind::Store,
            Self::Store { source } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                    ErrorKind::Busy
                }
                _ => ErrorKind::Store,
            },
            Self::Diff { .. } => ErrorKind::Usage,
            Self::ContentUnreadable { .. } | Self::TooManyFiles => ErrorKind::Io,
            Self::Io { .. } | Self::Output { .. } => ErrorKind::Io,
        }
    }

    /// The patches it is about, when it is about some.
    pub fn patches(&self) -> Vec<PatchId> {
        match self {
            Self::Stale { patches }
            | Self::LostParts { patches }
            | Self::ConfirmationMissing { patches } => {
                patches.iter().map(|patch| patch.id).collect()
            }
            Self::PatchNotFound { patch }
            | Self::NotPending { patch, .. }
            | Self::NotRefreshable { patch, .. }
            | Self::MergeConflict { patch, .. }
            | Self::NotByClient { patch, .. } => vec![*patch],
            Self::Conflict { patches, .. } => vec![patches.0, patches.1],
            Self::Incomplete { patch, needs, .. } => vec![*patch, *needs],
            _ => Vec::new(),
        }
    }

    /// The file it is about, when it is about one.
    pub fn path(&self) -> Option<&RelPath> {
        match self {
            Self::Fs(source) | Self::RolledBack { source, .. } | Self::InDoubt { source, .. } => {
                source.path()
            }
            Self::NoSuchFile { path }
            | Self::TargetExists { path }
            | Self::DirectoryNotEmpty { path }
            | Self::PathBlocked { path, .. }
            | Self::NoMatch { path, .. }
            | Self::PatchMisfit { path, .. }
            | Self::NotTheBase { path, .. }
            | Self::ModeRefused { path, .. }
            | Self::Conflict { path, .. }
            | Self::MergeConflict { path, .. }
            | Self::Incomplete { path, .. }
            | Self::UndoConflict { path, .. }
            | Self::NotByClient { path, .. }
            | Self::ContentUnreadable { path, .. }
            | Self::Damaged { path, .. } => Some(path),
            Self::Stale { patches }
            | Self::LostParts { patches }
            | Self::ConfirmationMissing { patches } => patches.first().map(|patch| &patch.path),
            _ => None,
        }
    }
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
        parts.push(format!("{} changed since the agent read it", named(&stale)));
    }
    if !expired.is_empty() {
        parts.push(format!("the session of {} expired", named(&expired)));
    }
    parts.join("; ")
}

fn lost_message(patches: &[Patch]) -> String {
    let named: Vec<_> = patches
        .iter()
        .map(|patch| {
            let why = match patch.reason {
                Some(DiscardReason::SessionExpired) => "expired",
                _ => "stale",
            };
            format!("`{}` ({}, {why})", patch.path, patch.id)
        })
        .collect();
    format!("parts of the set are missing: {}", listed(named))
}

fn named(patches: &[&Patch]) -> String {
    listed(patches.iter().map(|patch| format!("`{}` ({})", patch.path, patch.id)).collect())
}

/// Some of them by name, and how many more there are.
fn listed(mut named: Vec<String>) -> String {
    const NAMED_MAX: usize = 20;
    let more = named.len().saturating_sub(NAMED_MAX);
    named.truncate(NAMED_MAX);
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn confirmation_message(patches: &[Patch]) -> String {
    let named: Vec<_> =
        patches.iter().map(|patch| format!("`{}` ({})", patch.path, patch.id)).collect();
    format!(
        "replaced as a whole, without a diff to read: {}; confirm the full replacement",
        named.join(", ")
    )
}

/// The error and everything that led to it, as one sentence.
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
