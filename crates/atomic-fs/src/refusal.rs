//! Why paths and files are refused.

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
                "its target `{target}` is outside of the workspace or in a protected directory"
            ),
            Self::Git => f.write_str("git's own files are protected"),
            Self::OwnState => f.write_str("Greenroom's own files are protected"),
            Self::OtherMount => f.write_str("it is on another mount"),
            Self::HardLinks { links } => {
                write!(f, "it has {links} hard links, and replacing it would break them")
            }
            Self::ModeOfHardLinks { links } => {
                write!(f, "it has {links} hard links, and a new mode would apply to all of them")
            }
            Self::Immutable => {
                f.write_str("it is immutable or append-only: remove that flag with chattr first")
            }
            Self::SetId => f.write_str("setuid and setgid files are not replaced"),
            Self::NotAFile { kind } => write!(f, "it is a {kind}, not a regular file"),
            Self::ParentNotADirectory => f.write_str("a directory in its path is a file"),
            Self::Name { reason } => f.write_str(reason),
        }
    }
}
