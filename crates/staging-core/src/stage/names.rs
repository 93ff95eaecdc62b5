//! Turns the names in a patch into paths of the workspace.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use atomic_fs::{FileKind, RelPath};
use patch_formats::{Change, EntryKind, FilePatch, PatchError, Tree};

use crate::error::{Result, StagingError};
use crate::stage::proposal::{Meaning, PatchNames, PatchRequest, Reading};
use crate::stage::view::{Pending, View};

/// The files that the names of a patch may mean, as the session sees them.
pub(crate) struct Named<'n, 'v> {
    view: &'n mut View<'v>,
    request: &'n PatchRequest,
    /// The line of the current part.
    line: usize,
    is_from_top: bool,
    meaning: Meaning,
    /// What was asked for already.
    directories: HashMap<RelPath, bool>,
}

impl<'n, 'v> Named<'n, 'v> {
    pub(crate) fn new(view: &'n mut View<'v>, request: &'n PatchRequest) -> Self {
        let (meaning, directories) = (Meaning::Content, HashMap::new());
        Self { view, request, line: 0, is_from_top: false, meaning, directories }
    }

    /// The path that a name means, by its spelling alone: relative to the patch's folder, or
    /// absolute. It may lead up, as long as it stays inside the workspace.
    pub(crate) fn locate(&mut self, name: &[u8]) -> Result<RelPath> {
        let path = self.spelled(name)?;
        let within = &self.request.within;
        if !within.is_empty() && !within.iter().any(|directory| path.starts_with(directory)) {
            return Err(self.bad(name, "which leads out of the directories that may be changed"));
        }
        Ok(path)
    }

    fn bad(&self, name: &[u8], reason: &'static str) -> StagingError {
        let name = String::from_utf8_lossy(name).escape_debug().to_string();
        StagingError::Patch(PatchError::BadName { line: self.line, name, reason })
    }

    fn spelled(&self, name: &[u8]) -> Result<RelPath> {
        let as_git = self.request.names == PatchNames::AsGitApply;
        let directory = self.request.directory.as_ref().filter(|_| !(as_git && self.is_from_top));
        let Some(directory) = directory.filter(|_| !name.starts_with(b"/")) else {
            return self.below(None, name);
        };
        let below = self.below(Some(directory), name)?;
        let head = [directory.as_bytes(), b"/"].concat();
        if as_git && name.starts_with(&head) && !self.is_file(&below)? {
            return self.below(None, name);
        }
        Ok(below)
    }

    fn below(&self, directory: Option<&RelPath>, name: &[u8]) -> Result<RelPath> {
        let out = || self.bad(name, "which leads out of the workspace");
        if name.starts_with(b"/") {
            let root = self.view.inner.workspace.root();
            let path = inside(root, &as_path(name).ok_or_else(out)?).ok_or_else(out)?;
            return Ok(RelPath::from_path(&path)?);
        }
        let mut parts: Vec<&[u8]> = directory.iter().flat_map(|dir| dir.components()).collect();
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop().ok_or_else(out)?;
                }
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Err(self.bad(name, "which is the workspace itself"));
        }
        Ok(RelPath::parse(&parts.join(&b'/'))?)
    }

    /// Whether the session sees a file here; nothing is read.
    fn is_file(&self, path: &RelPath) -> Result<bool> {
        // A path that is refused cannot be meant.
        let Ok(path) = self.view.resolve(path, self.meaning, &HashSet::new()) else {
            return Ok(false);
        };
        if let Some(pending) = self.view.pending(&path)? {
            return Ok(matches!(pending, Pending::Staged(_)));
        }
        let stat = self.view.inner.workspace.stat(&path)?;
        Ok(stat.is_some_and(|stat| stat.kind != FileKind::Directory))
    }

    /// Whether a directory is on the disk, or is created with a pending file of the session.
    fn is_directory(&self, path: &RelPath) -> Result<bool> {
        let Ok(path) = self.view.inner.workspace.resolve(path) else { return Ok(false) };
        let stat = self.view.inner.workspace.stat(&path)?;
        if stat.is_some_and(|stat| stat.kind == FileKind::Directory) {
            return Ok(true);
        }
        Ok(self.view.brought_below(&path)?.is_some())
    }
}

impl Tree for Named<'_, '_> {
    type Content = Arc<[u8]>;
    type Error = StagingError;

    fn enter(&mut self, part: &FilePatch<'_>) {
        (self.line, self.is_from_top) = (part.line, part.is_from_top);
        // A deletion, a move and a symbolic link mean the name itself; a write means what is behind it.
        let is_name = part.kind == Some(EntryKind::Symlink)
            || matches!(part.change, Change::Delete { .. } | Change::Rename { .. });
        self.meaning = if is_name { Meaning::Name } else { Meaning::Content };
    }

    fn has_file(&mut self, name: &[u8]) -> Result<bool> {
        match self.locate(name) {
            Ok(path) => self.is_file(&path),
            Err(_) => Ok(false),
        }
    }

    fn has_directory(&mut self, name: &[u8]) -> Result<bool> {
        let path = self.locate(name)?;
        if let Some(known) = self.directories.get(&path) {
            return Ok(*known);
        }
        let is_directory = self.is_directory(&path)?;
        self.directories.insert(path, is_directory);
        Ok(is_directory)
    }

    fn content(&mut self, name: &[u8]) -> Result<Arc<[u8]>> {
        let path = self.locate(name)?;
        let path = self.view.resolve(&path, self.meaning, &HashSet::new())?;
        let found = self.view.require(&path, Reading::BaseToEdit)?;
        self.view.editable(&path, found)
    }
}

/// Where an absolute path lies below the root, whose parents may have other names, by links.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut full = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                full.pop();
            }
            component => full.push(component),
        }
    }
    if let Ok(below) = full.strip_prefix(root) {
        return Some(below.to_owned());
    }
    full.ancestors().skip(1).find_map(|ancestor| {
        let real = dunce::canonicalize(ancestor).ok()?;
        let below = real.strip_prefix(root).ok()?;
        Some(below.join(full.strip_prefix(ancestor).ok()?))
    })
}

#[cfg(unix)]
fn as_path(name: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(name)))
}

#[cfg(not(unix))]
fn as_path(name: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(name).ok().map(PathBuf::from)
}
