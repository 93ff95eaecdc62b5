//! The path that a change concerns, as its session sees the tree: without what the session removes,
//! and with the symbolic links and directories that it creates.

use std::collections::HashSet;

use atomic_fs::{Entry, EntryKind, FileKind, FsError, Overlaid, RelPath, Stat};

use crate::error::Result;
use crate::patch::Patch;
use crate::stage::proposal::Meaning;
use crate::stage::view::{Pending, View};
use crate::store::patches;

impl View<'_> {
    /// The path that a change concerns. `freed` are paths from which the current call removes files,
    /// in addition to those from which the session does.
    ///
    /// # Errors
    /// `Fs` for a path that leads out of the workspace, or that is protected.
    pub(crate) fn resolve(
        &self,
        path: &RelPath,
        meaning: Meaning,
        freed: &HashSet<RelPath>,
    ) -> Result<RelPath> {
        let workspace = &self.inner.workspace;
        let resolved = match meaning {
            Meaning::Content => workspace.resolve(path),
            Meaning::Name => workspace.resolve_entry(path),
        };
        // The usual case: no symbolic link and no file is on the way.
        if matches!(&resolved, Ok(resolved) if resolved == path) && !self.brings_links()? {
            return Ok(resolved?);
        }
        let mut overlay = |path: &RelPath| self.overlaid(path, freed);
        match meaning {
            Meaning::Content => workspace.resolve_over(path, &mut overlay),
            Meaning::Name => workspace.resolve_entry_over(path, &mut overlay),
        }
    }

    /// Refuses a symbolic link that would lead out of the workspace as the session sees the tree.
    ///
    /// # Errors
    /// `Fs` with [`Refusal::LinkTarget`].
    pub(crate) fn check_link(&self, path: &RelPath, target: &[u8]) -> Result<()> {
        let freed = HashSet::new();
        let mut overlay = |path: &RelPath| self.overlaid(path, &freed);
        self.inner.workspace.check_link(path, target, &mut overlay)
    }

    /// What the session, or the current call, makes of a path.
    pub(crate) fn overlaid(
        &self,
        path: &RelPath,
        freed: &HashSet<RelPath>,
    ) -> Result<Option<Overlaid>> {
        if freed.contains(path) {
            return Ok(Some(Overlaid::Absent));
        }
        match self.pending(path)? {
            Some(Pending::Staged(patch)) => {
                let keeps_kind = patch.target() == Some(&patch.path)
                    && patch.base.is_some()
                    && !patch.changes_kind();
                match patch.kind() {
                    // What keeps its kind is taken from the disk.
                    EntryKind::File | EntryKind::Directory if keeps_kind => Ok(None),
                    _ => self.brings(&patch),
                }
            }
            Some(Pending::Removed(_)) => Ok(Some(Overlaid::Absent)),
            None => Ok(None),
        }
    }

    fn brings(&self, patch: &Patch) -> Result<Option<Overlaid>> {
        let Some(staged) = patch.staged else { return Ok(Some(Overlaid::Absent)) };
        Ok(Some(match staged.kind() {
            EntryKind::File => Overlaid::File,
            EntryKind::Directory => Overlaid::Directory,
            EntryKind::Symlink => {
                Overlaid::Symlink(self.content(&patch.path, &staged.digest)?.to_vec())
            }
        }))
    }

    /// The status of what is on the disk at a path; `None` when the session removes or replaces what
    /// is on the way to it.
    pub(crate) fn stat(&self, path: &RelPath) -> Result<Option<Stat>> {
        match self.inner.workspace.stat(path) {
            Err(FsError::Refused { .. }) if self.is_off_disk(path)? => Ok(None),
            stat => Ok(stat?),
        }
    }

    /// The entries of a directory on the disk; `None` when there is none, or the session removes or
    /// replaces it or what is on the way to it.
    pub(crate) fn list(&self, dir: Option<&RelPath>) -> Result<Option<Vec<Entry>>> {
        match self.inner.workspace.list(dir) {
            Err(FsError::Refused { .. }) if self.is_replaced(dir.cloned())? => Ok(None),
            entries => Ok(entries?),
        }
    }

    /// The kind of a listed entry, also when the directory does not report kinds; `None` when it is
    /// gone.
    pub(crate) fn kind_of(&self, path: &RelPath, entry: &Entry) -> Result<Option<FileKind>> {
        match entry.kind {
            None => Ok(self.stat(path)?.map(|stat| stat.kind)),
            kind => Ok(kind),
        }
    }

    /// Whether the session removes or replaces a symbolic link or a file on the way to a path: what is
    /// behind it on the disk is not what the path means.
    pub(crate) fn is_off_disk(&self, path: &RelPath) -> Result<bool> {
        self.is_replaced(path.parent())
    }

    /// Whether the session removes or replaces what is on the disk at a path, or on the way to it.
    pub(crate) fn is_replaced(&self, path: Option<RelPath>) -> Result<bool> {
        for dir in std::iter::successors(path, RelPath::parent) {
            if self.at_path(&dir)?.is_some_and(|patch| patch.replaces(&dir)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a pending symbolic link of the session may be on the way to a path.
    fn brings_links(&self) -> Result<bool> {
        if self.plans_link {
            return Ok(true);
        }
        if let Some(known) = self.has_links.get() {
            return Ok(known);
        }
        let has_links = self.inner.store.peek(|c| patches::any_links(c, self.session))?;
        self.has_links.set(Some(has_links));
        Ok(has_links)
    }

    /// Whether a directory on the disk has at least one file, and only files that the session removes
    /// or that are about to move: then a file may take its place.
    pub(crate) fn is_emptied(&self, dir: &RelPath, leaving: &Leaving<'_>) -> Result<bool> {
        Ok(self.left_in(dir, leaving)? == Some(Left::NothingOfSome))
    }

    /// What the session leaves in a directory on the disk; `None` where there is no directory.
    pub(crate) fn left_in(&self, dir: &RelPath, leaving: &Leaving<'_>) -> Result<Option<Left>> {
        let Some(entries) = self.list(Some(dir))? else { return Ok(None) };
        if entries.is_empty() {
            return Ok(Some(Left::Nothing));
        }
        for entry in &entries {
            let path = dir.join(&entry.name).map_err(FsError::from)?;
            let Some(kind) = self.kind_of(&path, entry)? else { continue };
            let leaves = leaving(&path)
                || self.at_path(&path)?.is_some_and(|patch| patch.frees(&path))
                || (kind == FileKind::Directory && self.is_emptied(&path, leaving)?);
            if !leaves {
                return Ok(Some(Left::Some));
            }
        }
        Ok(Some(Left::NothingOfSome))
    }
}

/// Whether a file is about to leave its path.
pub(crate) type Leaving<'l> = dyn Fn(&RelPath) -> bool + 'l;

/// What is left in a directory once a session's deletions and moves are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is empty already.
    Nothing,
    /// Everything in it is removed or moved.
    NothingOfSome,
    /// Something stays.
    Some,
}
