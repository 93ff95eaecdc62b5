//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::content::Digest;
use crate::rel_path::{PathError, RelPath};

/// Why a path is refused although it is well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A symlink on the way, or the file itself, leads out of the workspace.
    LeadsOut,
    /// A symbolic link is to be made whose target lies outside of the workspace, or in what is
    /// protected in it.
    LinkTarget {
        /// Its target, escaped.
        target: String,
    },
    /// A component is `.git`, or a spelling that a file system takes for it.
    Git,
    /// The path lies in Greenroom's own state directory, or is one of its slots.
    OwnState,
    /// A mount point lies between the root and the file.
    OtherMount,
    /// The file has more than one name.
    HardLinks {
        /// How many names it has.
        links: u64,
    },
    /// The file has more than one name, and only its mode is to change: all of them would show
    /// the new mode, also those outside of the workspace.
    ModeOfHardLinks {
        /// How many names it has.
        links: u64,
    },
    /// The file is immutable, or can only be appended to.
    Immutable,
    /// The file is setuid or setgid, or would become so.
    SetId,
    /// Something other than a regular file is there.
    NotAFile {
        /// What it is: `directory`, `symlink` or `special file`.
        kind: &'static str,
    },
    /// A component that should be a directory is a file.
    ParentNotADirectory,
    /// The system cannot keep a name as it is written.
    Name {
        /// Why not.
        reason: &'static str,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LeadsOut => f.write_str("a symlink on the way leads out of the workspace"),
            Self::LinkTarget { target } => write!(
                f,
                "its target `{target}` lies outside of the workspace or in a protected directory"
            ),
            Self::Git => f.write_str("git's own files are protected"),
            Self::OwnState => f.write_str("Greenroom's own files are protected"),
            Self::OtherMount => f.write_str("it lies on another mount"),
            Self::HardLinks { links } => {
                write!(f, "it has {links} names (hard links), and a swap would sever them")
            }
            Self::ModeOfHardLinks { links } => {
                write!(f, "it has {links} hard links, and a new mode would apply to all of them")
            }
            Self::Immutable => {
                f.write_str("it is immutable or append-only: remove that flag with chattr first")
            }
            Self::SetId => f.write_str("setuid and setgid files are not replaced"),
            Self::NotAFile { kind } => write!(f, "it is a {kind}, not a regular file"),
            Self::ParentNotADirectory => f.write_str("a parent of it is not a directory"),
            Self::Name { reason } => f.write_str(reason),
        }
    }
}

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
    /// The file system cannot exchange two names, and nobody has allowed to do without.
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

/// In what a change set contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// Its id cannot be a part of a file's name.
    #[error("`{id}` is no id for a change set")]
    Id {
        /// The id.
        id: String,
    },
    /// It is empty.
    #[error("it has no changes")]
    Empty,
    /// Its journal would be too long.
    #[error("it has too many changes")]
    TooLong,
    /// Two changes expect something at one path.
    #[error("two changes concern `{path}`")]
    TwoChanges {
        /// The path.
        path: RelPath,
    },
    /// Two changes bring a file to one path.
    #[error("two changes bring a file to `{path}`")]
    TwoArrivals {
        /// The path.
        path: RelPath,
    },
    /// A change brings a file to the path of one that stays.
    #[error("a change brings a file to `{path}`, where another one stays")]
    ArrivesAtFile {
        /// The path.
        path: RelPath,
    },
    /// A change brings a file into a directory that another one removes.
    #[error("a change brings a file to `{path}` and another one removes the directory `{dir}`")]
    ArrivesInRemoved {
        /// The path.
        path: RelPath,
        /// The directory.
        dir: RelPath,
    },
    /// The mode of a symbolic link is to change.
    #[error("`{path}` is a symbolic link, which has no mode of its own")]
    ModeOfLink {
        /// The link.
        path: RelPath,
    },
    /// The operation cannot be made with what is expected to be there.
    #[error("the operation on `{path}` does not fit what is expected there")]
    Expectation {
        /// The path.
        path: RelPath,
    },
    /// Two paths lead to one file: two hard links, two spellings, or a directory that is mounted
    /// twice.
    #[error("`{one}` and `{other}` are one file: apply them one after the other")]
    OneFile {
        /// The first path.
        one: RelPath,
        /// The other one.
        other: RelPath,
    },
    /// Two new names are one name in their directory, which ignores case.
    #[error("`{one}` and `{other}` are one name in their directory")]
    OneName {
        /// The first path.
        one: RelPath,
        /// The other one.
        other: RelPath,
    },
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

    /// What an error of opening a file means for the path.
    pub(crate) fn opening_file(path: &RelPath, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::CrossesDevices => {
                Self::Refused { path: path.clone(), refusal: Refusal::OtherMount }
            }
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

impl Contradiction {
    fn path(&self) -> Option<&RelPath> {
        match self {
            Self::TwoChanges { path }
            | Self::TwoArrivals { path }
            | Self::ArrivesAtFile { path }
            | Self::ArrivesInRemoved { path, .. }
            | Self::ModeOfLink { path }
            | Self::Expectation { path } => Some(path),
            Self::OneFile { one, .. } | Self::OneName { one, .. } => Some(one),
            Self::Id { .. } | Self::Empty | Self::TooLong => None,
        }
    }
}

/// A file is not what the change set expects. A value, not an error: nothing has
/// changed, and the caller decides what to tell whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The file.
    pub path: RelPath,
    /// In what it differs.
    pub difference: Difference,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.path, self.difference)
    }
}

/// How a file differs from what a change set expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// Its content is another.
    Content,
    /// Its permission bits are others.
    Mode,
    /// It is there although it should not be.
    Exists,
    /// It is gone.
    Missing,
    /// It is something else now (a file, a symbolic link, a directory), or can no longer be
    /// reached safely.
    Kind,
    /// It is a directory that holds something besides.
    NotEmpty,
    /// Recovery needs its old or its new content, which is in no slot and not in the store.
    Unrestorable,
    /// Something that is no regular file has the name of its slot.
    SlotTaken,
    /// The configuration does not allow a change of this path any more.
    Refused,
    /// Its directory was moved or removed while the set was being applied, and it with the directory.
    DirectoryAway,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Content => "its content changed",
            Self::Mode => "its mode changed",
            Self::Exists => "it exists now",
            Self::Missing => "it is gone",
            Self::Kind => "it is of another kind now, such as a link or a directory",
            Self::NotEmpty => "it is a directory that is not empty",
            Self::Unrestorable => "what it held is neither beside it nor in the store",
            Self::SlotTaken => "a directory or a special file has the name of its slot",
            Self::Refused => "the configuration does not allow to change it",
            Self::DirectoryAway => "its directory was moved or removed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
