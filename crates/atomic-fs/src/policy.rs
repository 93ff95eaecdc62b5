//! Which paths and files are refused, whoever asks.

use std::path::PathBuf;

use crate::apply::slot_name::{SLOT_PREFIX, SLOT_SUFFIX, is_slot_name};
use crate::beneath::{self, Overlay, Resolved};
use crate::case_fold::{folded_stem, folds_alike};
use crate::change_set::{Change, Operation};
use crate::content::{EntryKind, Fingerprint};
use crate::error::FsError;
use crate::options::Options;
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind, Stat};
use crate::refusal::Refusal;
use crate::rel_path::{RelPath, escape_bytes};

const SET_ID: u32 = 0o6000;

impl RelPath {
    /// Whether a name on the way may lead into `.git`, on whatever file system it lies.
    pub fn names_git(&self) -> bool {
        self.components().any(may_be_git)
    }

    /// Whether some file system finds `ancestor`, or something below it, by this path.
    pub fn may_lie_below(&self, ancestor: &RelPath) -> bool {
        let mut own = self.components();
        ancestor.components().all(|name| own.next().is_some_and(|own| folds_alike(own, name)))
    }
}

/// The options, and where Greenroom's own state lies if that is below the root.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub options: Options,
    pub own_state: Option<RelPath>,
    /// The workspace's root, canonical: a `.git` file may name a directory by its whole path.
    pub root_path: PathBuf,
}

/// What becomes of symbolic links that lead out of the workspace, or to what is protected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkCheck {
    /// They are refused.
    Refused,
    /// They are allowed: they were there before.
    Allowed,
}

impl Policy {
    /// Refuses a path by its names alone.
    pub(crate) fn check_path(&self, path: &RelPath) -> Result<(), FsError> {
        let refused = |refusal| Err(FsError::refused(path, refusal));
        if !self.options.allow_git && path.names_git() {
            return refused(Refusal::Git);
        }
        #[cfg(windows)]
        if let Some(reason) = path.components().find_map(crate::os::windows_names::fault) {
            return refused(Refusal::Name { reason });
        }
        let in_state = self.own_state.as_ref().is_some_and(|state| path.may_lie_below(state));
        if in_state || path.components().any(may_be_slot_name) {
            return refused(Refusal::OwnState);
        }
        Ok(())
    }

    /// Refuses a path by its names and by the directories that it leads through, which may be
    /// git's under another name.
    pub(crate) fn check_place<D: Disk>(
        &self,
        cache: &DirCache<'_, D>,
        path: &RelPath,
    ) -> Result<(), FsError> {
        self.check_path(path)?;
        if !self.options.allow_git && cache.is_in_git_dir(&self.root_path, path)? {
            return Err(FsError::refused(path, Refusal::Git));
        }
        Ok(())
    }

    /// Refuses a symbolic link by where it leads: out of the workspace, into git's directory, or
    /// into Greenroom's own. Its target may be absent.
    pub(crate) fn check_link<D: Disk>(
        &self,
        cache: &DirCache<'_, D>,
        path: &RelPath,
        target: &[u8],
        overlay: &mut Overlay<'_, FsError>,
    ) -> Result<(), FsError> {
        let refused =
            || FsError::refused(path, Refusal::LinkTarget { target: escape_bytes(target) });
        let leads_to = match beneath::resolve_link(cache, &self.root_path, path, target, overlay) {
            // The root itself, or nothing that could be opened.
            Ok(None) => return Ok(()),
            Err(FsError::Refused { refusal: Refusal::ParentNotADirectory, .. }) => return Ok(()),
            Ok(Some(leads_to)) => leads_to,
            Err(FsError::Refused { .. } | FsError::Path(_)) => return Err(refused()),
            Err(error) => return Err(error),
        };
        match self.check_resolved(cache, &leads_to) {
            Err(FsError::Refused { .. }) => Err(refused()),
            answer => answer,
        }
    }

    /// Refuses a path by its names, and by where it lies as far as that is on the disk.
    pub(crate) fn check_resolved<D: Disk>(
        &self,
        cache: &DirCache<'_, D>,
        resolved: &Resolved,
    ) -> Result<(), FsError> {
        match resolved.is_on_disk {
            true => self.check_place(cache, &resolved.path),
            false => self.check_path(&resolved.path),
        }
    }

    /// Whether a name in a directory is Greenroom's: a slot, or its state.
    pub(crate) fn is_own(&self, dir: Option<&RelPath>, name: &[u8]) -> bool {
        let is_state = self
            .own_state
            .as_ref()
            .is_some_and(|state| state.file_name() == name && state.parent().as_ref() == dir);
        is_state || is_slot_name(name)
    }

    /// Refuses a file by its own state.
    pub(crate) fn check_file(&self, path: &RelPath, stat: &Stat) -> Result<(), FsError> {
        let refused = |refusal| Err(FsError::refused(path, refusal));
        match stat.kind {
            FileKind::Regular | FileKind::Symlink => {}
            FileKind::Directory => return refused(Refusal::NotAFile { kind: "directory" }),
            FileKind::Other => return refused(Refusal::NotAFile { kind: "special file" }),
        }
        if stat.links > 1 && !self.options.allow_hard_links {
            return refused(Refusal::HardLinks { links: stat.links });
        }
        if stat.mode & SET_ID != 0 {
            return refused(Refusal::SetId);
        }
        Ok(())
    }

    /// Refuses a change by its paths and by what it would make of the file.
    pub(crate) fn check_change(&self, change: &Change) -> Result<(), FsError> {
        self.check_path(&change.path)?;
        // Of a link or a directory the other bits name its kind.
        let bits = |staged: &Fingerprint| match staged.kind() {
            EntryKind::File => staged.mode,
            EntryKind::Symlink | EntryKind::Directory => staged.permissions(),
        };
        let mode = match &change.operation {
            Operation::Write(staged) => bits(staged),
            Operation::SetMode { mode } => *mode,
            Operation::Delete | Operation::RemoveDir => 0,
            Operation::MakeDir { mode } => mode.unwrap_or(0),
            Operation::Rename { to, staged } => {
                self.check_path(to)?;
                staged.as_ref().map_or(0, bits)
            }
        };
        if mode & !0o1777 != 0 {
            return Err(FsError::refused(&change.path, Refusal::SetId));
        }
        Ok(())
    }
}

/// Refuses a change of the permission bits alone where a file has other names: the bits are
/// the file's and not the name's, and no exchange breaks the links.
pub(crate) fn check_mode_change(path: &RelPath, stat: &Stat) -> Result<(), FsError> {
    match stat.links {
        0 | 1 => Ok(()),
        links => Err(FsError::refused(path, Refusal::ModeOfHardLinks { links })),
    }
}

/// Whether some file system takes a name for `.git`: in any case and composition, with the
/// characters, trailing dots and spaces, or the stream that it ignores, or by its short name. Git
/// refuses most of these, too (`is_ntfs_dotgit` and `is_hfs_dotgit` in its sources, CVE-2014-9390
/// and CVE-2019-1352).
fn may_be_git(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'\\').any(|part| {
        let stem = folded_stem(part);
        stem == b".git" || is_short_name_of_git(&stem)
    })
}

/// Whether NTFS may have made up a folded name for `.git`: `git~1` to `git~9`, and what it
/// makes when some of them are taken, two letters and four digits of a checksum.
fn is_short_name_of_git(stem: &[u8]) -> bool {
    let Some((head, [b'~', b'1'..=b'9'])) = stem.split_at_checked(stem.len().saturating_sub(2))
    else {
        return false;
    };
    let is_hashed = |head: &[u8]| {
        head.strip_prefix(b"gi")
            .is_some_and(|digits| digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit))
    };
    head == b"git" || is_hashed(head)
}

/// Whether some file system takes a name for a slot's. A slot has an exact name.
fn may_be_slot_name(name: &[u8]) -> bool {
    let stem = folded_stem(name);
    stem.starts_with(SLOT_PREFIX.as_bytes()) && stem.ends_with(SLOT_SUFFIX.as_bytes())
}

#[cfg(test)]
mod tests;
