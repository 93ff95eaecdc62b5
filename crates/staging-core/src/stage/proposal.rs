//! What an agent proposes, and what is pending because of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use atomic_fs::{Digest, RelPath};
use serde::Serialize;

use crate::error::StagingError;
use crate::ids::{PatchId, SessionId};
use crate::patch::Patch;

/// A change that an agent proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// New content, whole.
    Write {
        /// The file.
        path: RelPath,
        /// Its new content.
        content: Vec<u8>,
        /// Its permission bits; those of the file there, when not given.
        mode: Option<u32>,
    },
    /// New content, whole, streamed from a file outside the workspace.
    WriteFrom {
        /// The file.
        path: RelPath,
        /// Where the content is.
        file: PathBuf,
        /// Its permission bits; those of the file there, when not given.
        mode: Option<u32>,
    },
    /// One piece of text replaced by another, in what the session sees.
    Edit {
        /// The file.
        path: RelPath,
        /// What to replace; must occur exactly once unless all are replaced. Nothing, for a file
        /// that is absent or empty.
        old: Vec<u8>,
        /// What to put in its place.
        new: Vec<u8>,
        /// Whether every occurrence is replaced.
        replace_all: bool,
    },
    /// A symbolic link, also in place of a file or a link.
    Symlink {
        /// The link.
        path: RelPath,
        /// Where it leads, as it is written: relative to the link's directory, or absolute. It may
        /// not lead out of the workspace; what it leads to may be absent.
        target: Vec<u8>,
    },
    /// A directory, and those above it; nothing changes where one exists.
    CreateDirectory {
        /// The directory.
        path: RelPath,
    },
    /// A deletion.
    Delete {
        /// The file, the symbolic link itself, or the directory, which has to be empty.
        path: RelPath,
    },
    /// A move.
    Rename {
        /// The file, or the symbolic link itself.
        path: RelPath,
        /// Where no file may be, as the session sees it.
        to: RelPath,
    },
    /// A change of the permission bits.
    SetMode {
        /// The file.
        path: RelPath,
        /// The bits, without setuid and setgid.
        mode: u32,
    },
    /// A change of a file that has to be what the agent read; refused as stale when it is not.
    Expecting {
        /// The content of the file as the session sees it.
        base: Digest,
        /// The change.
        proposal: Box<Proposal>,
    },
}

impl Proposal {
    /// The file it is about, as the agent named it.
    pub fn path(&self) -> &RelPath {
        match self {
            Self::Write { path, .. }
            | Self::WriteFrom { path, .. }
            | Self::Edit { path, .. }
            | Self::Symlink { path, .. }
            | Self::CreateDirectory { path }
            | Self::Delete { path }
            | Self::Rename { path, .. }
            | Self::SetMode { path, .. } => path,
            Self::Expecting { proposal, .. } => proposal.path(),
        }
    }

    /// Whether it is about a name, and not about what is behind it if that is a symbolic link.
    pub(crate) fn meaning(&self) -> Meaning {
        match self {
            Self::Symlink { .. } | Self::CreateDirectory { .. } => Meaning::Name,
            Self::Delete { .. } | Self::Rename { .. } => Meaning::Name,
            Self::Expecting { proposal, .. } => proposal.meaning(),
            Self::Write { .. } | Self::WriteFrom { .. } => Meaning::Content,
            Self::Edit { .. } | Self::SetMode { .. } => Meaning::Content,
        }
    }

    /// How much of the file it reads.
    pub(crate) fn reading(&self) -> Reading {
        match self {
            Self::Write { .. } | Self::WriteFrom { .. } | Self::Delete { .. } => Reading::Base,
            Self::Symlink { .. } | Self::CreateDirectory { .. } => Reading::Base,
            Self::Rename { .. } | Self::SetMode { .. } => Reading::BaseToStage,
            Self::Edit { .. } => Reading::BaseToEdit,
            Self::Expecting { proposal, .. } => proposal.reading(),
        }
    }

    /// How many bytes of content it holds in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Write { content, .. } => content.len(),
            Self::Edit { old, new, .. } => old.len() + new.len(),
            Self::Expecting { proposal, .. } => proposal.bytes(),
            Self::Symlink { target, .. } => target.len(),
            Self::WriteFrom { .. } | Self::CreateDirectory { .. } | Self::Delete { .. } => 0,
            Self::Rename { .. } | Self::SetMode { .. } => 0,
        }
    }
}

/// The answer to a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposed {
    /// The patch now pending; `None` when the proposed file equals the one on the disk.
    pub patch: Option<Patch>,
    /// Other patches that changed because of it: a write to a path that was renamed away splits the
    /// rename.
    pub also_changed: Vec<Patch>,
    /// The patch that was withdrawn, or whose place this one took. A patch that is rewritten keeps its
    /// id, and is not named here.
    pub superseded: Option<PatchId>,
    /// Other sessions with a pending patch on the same file.
    pub also_pending_in: Vec<SessionId>,
    /// Whether the pending patch was removed, or none was needed: the proposed file equals the one on
    /// the disk.
    pub withdrawn: bool,
}

/// What a change means by a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What is read or written there: behind a symbolic link, if one is there.
    Content,
    /// The name itself, which is deleted, moved or created.
    Name,
}

/// How much of a file is read for a proposal.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    /// All of it, as far as the store has room.
    Base,
    /// As much as a session may stage: the content is staged as well.
    BaseToStage,
    /// As much as is edited in memory.
    BaseToEdit,
}

/// Edits hold the file in memory; what is larger is written whole.
pub(crate) const EDIT_BYTES_MAX: u64 = 64 << 20;

/// Why a file is not edited in memory.
pub(crate) fn too_long_to_edit() -> StagingError {
    StagingError::Limit { what: "a file that is edited, in bytes,", max: EDIT_BYTES_MAX }
}

/// A patch over many files, in a format that [`patch_formats`] reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchRequest {
    /// The patch, as the agent wrote it.
    pub text: Vec<u8>,
    /// The folder to which its names are relative; the workspace's root when not given.
    pub directory: Option<RelPath>,
    /// Which of its names are relative to the folder.
    pub names: PatchNames,
    /// Unless empty, the directories that its names have to stay in, symbolic links not followed.
    pub within: Vec<RelPath>,
    /// What files have to hold, as the session sees them: the patch is refused as stale otherwise.
    /// Hunks of such a file may do without context.
    pub bases: BTreeMap<RelPath, Digest>,
}

/// Which names of a patch are relative to the folder that it is brought to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchNames {
    /// All of them.
    #[default]
    FromDirectory,
    /// As `git apply` reads them in a folder of a repository: names below `diff --git` begin at the
    /// workspace's root, and so does every other name that begins with the folder's own path, unless
    /// there is such a file in the folder.
    AsGitApply,
}
