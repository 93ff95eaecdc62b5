//! Files that are not what a change set expects.

use crate::rel_path::RelPath;

/// A file is not what the change set expects. A value, not an error: nothing has
/// changed, and the caller decides what to tell whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The file.
    pub path: RelPath,
    /// In what it differs.
    pub difference: Difference,
}

impl Conflict {
    pub(crate) fn at(path: &RelPath, difference: Difference) -> Self {
        Self { path: path.clone(), difference }
    }
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
    /// Its content differs.
    Content,
    /// Its permission bits differ.
    Mode,
    /// It exists although it should not.
    Exists,
    /// It is gone.
    Missing,
    /// It is something else now (a file, a symbolic link, a directory), or can no longer be
    /// reached safely.
    Kind,
    /// It is a directory that holds other files as well.
    NotEmpty,
    /// Recovery needs its old or new content, which is neither in a slot nor in the store.
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
            Self::Kind => "it is now something else, such as a link or a directory",
            Self::NotEmpty => "it is a directory that is not empty",
            Self::Unrestorable => "its content is neither in its slot nor in the store",
            Self::SlotTaken => "a directory or a special file has the name of its slot",
            Self::Refused => "the configuration does not allow changing it",
            Self::DirectoryAway => "its directory was moved or removed",
        })
    }
}
