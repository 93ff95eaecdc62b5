//! What each error is about.

use atomic_fs::{FsError, FsErrorKind, RelPath};

use super::kind::ErrorKind;
use super::staging::StagingError;
use crate::ids::PatchId;
use crate::patch::Patch;

impl StagingError {
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
