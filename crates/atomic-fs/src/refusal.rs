//! Why paths and files are refused.

/// Why a path is refused although it is well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A symlink on the way, or the file itself, leads out of the workspace.
    #[error("a symlink on the way leads out of the workspace")]
    LeadsOut,
    /// A symbolic link is to be made whose target lies outside of the workspace, or in what is
    /// protected in it.
    #[error("its target `{target}` is outside of the workspace or in a protected directory")]
    LinkTarget {
        /// Its target, escaped.
        target: String,
    },
    /// A component is `.git`, or a spelling that a file system takes for it.
    #[error("git's own files are protected")]
    Git,
    /// The path lies in Greenroom's own state directory, or is one of its slots.
    #[error("Greenroom's own files are protected")]
    OwnState,
    /// A mount point lies between the root and the file.
    #[error("it is on another mount")]
    OtherMount,
    /// The file has more than one name.
    #[error("it has {links} hard links, and replacing it would break them")]
    HardLinks {
        /// How many names it has.
        links: u64,
    },
    /// The file has more than one name, and only its mode is to change: all of them would show
    /// the new mode, also those outside of the workspace.
    #[error("it has {links} hard links, and a new mode would apply to all of them")]
    ModeOfHardLinks {
        /// How many names it has.
        links: u64,
    },
    /// The file is immutable, or can only be appended to.
    #[error("it is immutable or append-only: remove that flag with chattr first")]
    Immutable,
    /// The file is setuid or setgid, or would become so.
    #[error("setuid and setgid files are not replaced")]
    SetId,
    /// Something other than a regular file is there.
    #[error("it is a {kind}, not a regular file")]
    NotAFile {
        /// What it is: `directory`, `symlink` or `special file`.
        kind: &'static str,
    },
    /// A component that should be a directory is a file.
    #[error("a directory in its path is a file")]
    ParentNotADirectory,
    /// The system cannot keep a name as it is written.
    #[error("{reason}")]
    Name {
        /// Why not.
        reason: &'static str,
    },
}
