//! Change sets that cannot be applied as they are.

use crate::rel_path::RelPath;

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

impl Contradiction {
    /// The path that it is about, if it is about one.
    pub(crate) fn path(&self) -> Option<&RelPath> {
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
