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
    /// A system call failed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was being done, as a verb: `open`, `sync`, `swap`.
        action: &'static str,
        /// The path, relative to the root where it lies below it.
        path: String,
        /// What the system said.
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
    /// The change set contradicts itself.
    #[error("the change set is not consistent: {reason}")]
    BadChangeSet {
        /// In what.
        reason: String,
    },
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
        "`{dir}` is being changed by another process (an apply, undo or recovery of another \
         Greenroom state): try again when it has ended"
    )]
    InUse {
        /// The directory, `.` for the root.
        dir: String,
    },
    /// The caller could not tell what it recorded of its change sets.
    #[error("cannot read the record of the change sets")]
    Records {
        /// What it said.
        source: io::Error,
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
        reason: String,
    },
}

impl FsError {
    /// Whether the system gave this answer.
    pub(crate) fn is(&self, kind: io::ErrorKind) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == kind)
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

    pub(crate) fn io(
        action: &'static str,
        path: impl std::fmt::Display,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Io { action, path, source }
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
