//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::conflict::Conflict;
use crate::content::Digest;
use crate::contradiction::Contradiction;
use crate::refusal::Refusal;
use crate::rel_path::{PathError, RelPath};

/// An operation on the workspace failed.
///
/// Unless a variant says otherwise, nothing in the workspace has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// A system call on the workspace failed.
    #[error("cannot {operation} `{}`", shown(path.as_ref()))]
    Io {
        /// What was being done, as a verb: `open`, `sync`, `swap`.
        operation: &'static str,
        /// The path; `None` for the workspace's root.
        path: Option<RelPath>,
        /// What the system said.
        source: io::Error,
    },
    /// A system call on Greenroom's own state, or on the way to the workspace, failed.
    #[error("cannot {operation} `{}`", path.display())]
    State {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The path, or the name in the state directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller's record of its change sets could not be read or written.
    #[error("cannot {operation} the record of the change sets")]
    Records {
        /// What was being done, as a verb.
        operation: &'static str,
        /// What the caller's store said.
        source: io::Error,
    },
    /// The path is not one.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The path is one that must not be changed.
    #[error("`{path}` is refused: {refusal}")]
    Refused {
        /// The path as asked for.
        path: RelPath,
        /// Why.
        refusal: Refusal,
    },
    /// Somebody has the file open for writing.
    #[error(
        "`{path}` is open for writing in {}: close it there and try again",
        process.as_deref().unwrap_or("another process")
    )]
    Busy {
        /// The file.
        path: RelPath,
        /// Name and process id of who has it, where the system tells.
        process: Option<String>,
    },
    /// The content source gave other bytes than the approved ones.
    #[error("the staged content of `{path}` is damaged: expected {expected}, found {found}")]
    DamagedContent {
        /// The file it was for.
        path: RelPath,
        /// The approved digest.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// Files are not what the change set expects. An apply reports this as
    /// [`Outcome::Conflicts`](crate::Outcome::Conflicts), a value; this is for callers that have to
    /// return an error.
    #[error("{}", listed(conflicts))]
    Conflicts {
        /// The files.
        conflicts: Vec<Conflict>,
    },
    /// The change set contradicts itself.
    #[error("the change set is not consistent: {contradiction}")]
    BadChangeSet {
        /// In what.
        contradiction: Contradiction,
    },
    /// An earlier change set has a journal still: recover it first.
    #[error("an earlier change set is not recovered yet")]
    NotRecovered,
    /// The file system cannot exchange two names, and the options do not allow moving files aside.
    #[error(
        "the file system of `{path}` cannot exchange two files atomically; with \
         `allow_move_aside = true` in the configuration, files on it are moved aside before \
         they are replaced, and are absent for a moment"
    )]
    NoExchange {
        /// The file.
        path: RelPath,
    },
    /// A directory was moved or replaced while the set was applied. What was done in it has been
    /// taken back where it is now.
    #[error(
        "the directory `{path}` was moved or replaced during the apply; what was changed in it has \
         been undone where it is now"
    )]
    DirectoryMoved {
        /// The directory, by the path at which it was found first.
        path: RelPath,
    },
    /// Another Greenroom state is changing the same directory.
    #[error(
        "`{}` is being changed by another process (an apply, undo or recovery of another \
         Greenroom state): try again when it has ended",
        shown(path.as_ref())
    )]
    InUse {
        /// The directory; `None` for the root.
        path: Option<RelPath>,
    },
    /// A journal in the state directory cannot be read by this version.
    #[error(
        "journal `{}` is not understood: {reason}; run the version that wrote it, or move the file away",
        path.display()
    )]
    UnknownJournal {
        /// The journal's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What an error means for whoever asked. Not `non_exhaustive`: each kind is a case of its own for
/// the caller, who is to decide anew when one is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FsErrorKind {
    /// The system refused or failed a call.
    Io,
    /// The path or the file must not be changed.
    Refused,
    /// Somebody else is using the file or the directory: try again later.
    Busy,
    /// Files are not what is expected, or were moved meanwhile.
    Conflict,
    /// The caller's change set cannot be applied as it is.
    BadChangeSet,
    /// Recovery comes first.
    NotRecovered,
    /// What is stored does not hold what it should.
    Damaged,
    /// The file system cannot do it.
    Unsupported,
}

impl From<Contradiction> for FsError {
    fn from(contradiction: Contradiction) -> Self {
        Self::BadChangeSet { contradiction }
    }
}

fn shown(path: Option<&RelPath>) -> String {
    path.map_or_else(|| ".".to_owned(), ToString::to_string)
}

fn listed(conflicts: &[Conflict]) -> String {
    let each = conflicts.iter().map(ToString::to_string);
    each.collect::<Vec<_>>().join("; ")
}

/// Answers of the system, of which some failures say no more than that nothing is there.
pub(crate) trait IfThere<T>: Sized {
    type Error;

    /// `None` in place of a failure of one of these kinds.
    fn unless(self, kinds: &[io::ErrorKind]) -> Result<Option<T>, Self::Error>;

    /// `None` where the name is not there.
    fn if_found(self) -> Result<Option<T>, Self::Error> {
        self.unless(&[io::ErrorKind::NotFound])
    }

    /// `None` where the name, or a directory on the way to it, is not there.
    fn if_there(self) -> Result<Option<T>, Self::Error> {
        self.unless(&[io::ErrorKind::NotFound, io::ErrorKind::NotADirectory])
    }
}

impl<T> IfThere<T> for io::Result<T> {
    type Error = io::Error;

    fn unless(self, kinds: &[io::ErrorKind]) -> io::Result<Option<T>> {
        match self {
            Err(error) if kinds.contains(&error.kind()) => Ok(None),
            answer => answer.map(Some),
        }
    }
}

impl<T> IfThere<T> for Result<T, FsError> {
    type Error = FsError;

    fn unless(self, kinds: &[io::ErrorKind]) -> Result<Option<T>, FsError> {
        match self {
            Err(error) if kinds.iter().any(|kind| error.is(*kind)) => Ok(None),
            answer => answer.map(Some),
        }
    }
}

impl FsError {
    /// What it means for whoever asked.
    pub fn kind(&self) -> FsErrorKind {
        match self {
            // A flag of the file that the user removes with chattr, as for any other tool.
            Self::Refused { refusal: Refusal::Immutable, .. }
            | Self::Io { .. }
            | Self::State { .. }
            | Self::Records { .. } => FsErrorKind::Io,
            Self::Path(_) | Self::Refused { .. } => FsErrorKind::Refused,
            Self::Busy { .. } | Self::InUse { .. } => FsErrorKind::Busy,
            Self::DamagedContent { .. } | Self::UnknownJournal { .. } => FsErrorKind::Damaged,
            Self::Conflicts { .. } | Self::DirectoryMoved { .. } => FsErrorKind::Conflict,
            Self::BadChangeSet { .. } => FsErrorKind::BadChangeSet,
            Self::NotRecovered => FsErrorKind::NotRecovered,
            Self::NoExchange { .. } => FsErrorKind::Unsupported,
        }
    }

    /// The path in the workspace that it is about, if it is about one.
    pub fn path(&self) -> Option<&RelPath> {
        match self {
            Self::Io { path, .. } | Self::InUse { path } => path.as_ref(),
            Self::Refused { path, .. }
            | Self::Busy { path, .. }
            | Self::DamagedContent { path, .. }
            | Self::NoExchange { path }
            | Self::DirectoryMoved { path } => Some(path),
            Self::Conflicts { conflicts } => conflicts.first().map(|conflict| &conflict.path),
            Self::BadChangeSet { contradiction } => contradiction.path(),
            Self::State { .. }
            | Self::Records { .. }
            | Self::Path(_)
            | Self::NotRecovered
            | Self::UnknownJournal { .. } => None,
        }
    }

    /// Whether the system gave this answer.
    pub(crate) fn is(&self, kind: io::ErrorKind) -> bool {
        match self {
            Self::Io { source, .. } | Self::State { source, .. } => source.kind() == kind,
            _ => false,
        }
    }

    /// Whether it says that something on the way is not there.
    pub(crate) fn is_absence(&self) -> bool {
        self.is(io::ErrorKind::NotFound) || self.is(io::ErrorKind::NotADirectory)
    }

    pub(crate) fn refused(path: &RelPath, refusal: Refusal) -> Self {
        Self::Refused { path: path.clone(), refusal }
    }

    /// What an error of opening a file means for the path.
    pub(crate) fn opening_file(path: &RelPath, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::CrossesDevices => Self::refused(path, Refusal::OtherMount),
            _ => Self::io("open", path)(source),
        }
    }

    /// A failure at a path of the workspace, or at its root.
    pub(crate) fn io<'p>(
        operation: &'static str,
        path: impl Into<Option<&'p RelPath>>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into().cloned();
        move |source| Self::Io { operation, path, source }
    }

    /// A failure at a path outside of the workspace, or at a name in the state directory.
    pub(crate) fn state(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::State { operation, path, source }
    }

    pub(crate) fn records(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Records { operation, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conflict::Difference;

    fn rel(path: &str) -> RelPath {
        RelPath::parse(path.as_bytes()).expect("a path")
    }

    #[test]
    fn conflicts_name_every_file_and_how_it_differs() {
        let conflict = |path, difference| Conflict { path: rel(path), difference };
        let conflicts =
            vec![conflict("a", Difference::Content), conflict("b/c", Difference::Missing)];
        let error = FsError::Conflicts { conflicts };
        assert_eq!(error.to_string(), "`a`: its content changed; `b/c`: it is gone");
        assert_eq!((error.kind(), error.path()), (FsErrorKind::Conflict, Some(&rel("a"))));
    }

    #[test]
    fn a_failed_call_names_its_path_and_the_root_is_a_dot() {
        let failed = || io::Error::from(io::ErrorKind::PermissionDenied);
        let error = FsError::io("swap", &rel("a"))(failed());
        assert_eq!(error.to_string(), "cannot swap `a`");
        assert_eq!((error.kind(), error.path()), (FsErrorKind::Io, Some(&rel("a"))));
        let error = FsError::io("list", None)(failed());
        assert_eq!((error.to_string(), error.path()), ("cannot list `.`".to_owned(), None));
        let error = FsError::state("sync", "journal")(failed());
        assert_eq!((error.to_string(), error.path()), ("cannot sync `journal`".to_owned(), None));
    }

    #[test]
    fn a_contradiction_is_about_a_path_where_it_has_one() {
        let error = FsError::from(Contradiction::TwoChanges { path: rel("a") });
        assert_eq!((error.kind(), error.path()), (FsErrorKind::BadChangeSet, Some(&rel("a"))));
        assert_eq!(FsError::from(Contradiction::Empty).path(), None);
    }
}
