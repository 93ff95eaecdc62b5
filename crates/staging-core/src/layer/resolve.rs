//! Which path a change really concerns, where a session takes away what is on the way to it.
//!
//! A file, or a link, may become a directory and a directory a file: what is on the disk is looked
//! at as if what the session takes away were gone.

use std::collections::HashSet;

use atomic_fs::{FileKind, FsError, Refusal, RelPath, Workspace};

use super::view::View;
use crate::Result;
use crate::error::StagingError;

/// What a change means by a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// What is read or written there: behind a symbolic link, if one is there.
    Content,
    /// The name, which is deleted, moved, or comes to be.
    Name,
}

impl View<'_> {
    /// The path that a change really concerns. `freed` are paths from which the call at hand takes
    /// files away, besides those from which the session does.
    ///
    /// # Errors
    /// `Fs` for a path that leads out of the workspace, or that is protected.
    pub(super) fn resolve(
        &self,
        path: &RelPath,
        meaning: Meaning,
        freed: &HashSet<RelPath>,
    ) -> Result<RelPath> {
        let workspace = &self.inner.workspace;
        let resolved = match meaning {
            Meaning::Content => workspace.resolve(path),
            Meaning::Name => workspace.resolve_name(path),
        };
        past_what_is_freed(workspace, path, resolved, &|path| self.is_freed(path, freed))
    }

    /// Whether the session, or the call at hand, takes the file at a path away, and brings none.
    fn is_freed(&self, path: &RelPath, freed: &HashSet<RelPath>) -> Result<bool> {
        if self.at_target(path)?.is_some() {
            return Ok(false);
        }
        Ok(freed.contains(path) || self.at_path(path)?.is_some_and(|patch| patch.frees(path)))
    }

    /// Whether a directory on the disk holds files, and all of them are ones that the session takes
    /// away, or the one that is about to leave: a file may come in its place.
    pub(super) fn is_emptied(&self, dir: &RelPath, leaving: Option<&RelPath>) -> Result<bool> {
        let Some(entries) = self.inner.workspace.list(Some(dir))? else { return Ok(false) };
        for entry in &entries {
            let path = dir.join(&entry.name).map_err(FsError::from)?;
            let kind = match entry.kind {
                Some(kind) => kind,
                None => match self.inner.workspace.stat(&path)? {
                    Some(stat) => stat.kind,
                    None => continue,
                },
            };
            let leaves = match kind {
                FileKind::Directory => self.is_emptied(&path, leaving)?,
                _ if leaving == Some(&path) => true,
                _ => self.at_path(&path)?.is_some_and(|patch| patch.frees(&path)),
            };
            if !leaves {
                return Ok(false);
            }
        }
        Ok(!entries.is_empty())
    }
}

/// The path that one is resolved to by the disk alone, or where it leads when what `is_freed` names
/// is gone.
pub(super) fn past_what_is_freed(
    workspace: &Workspace,
    path: &RelPath,
    resolved: Result<RelPath, FsError>,
    is_freed: &dyn Fn(&RelPath) -> Result<bool>,
) -> Result<RelPath> {
    if matches!(&resolved, Ok(resolved) if resolved == path) {
        return Ok(resolved?);
    }
    let mut above: Vec<RelPath> = std::iter::successors(path.parent(), RelPath::parent).collect();
    above.reverse();
    for dir in above {
        let Ok(real) = workspace.resolve_entry(&dir) else { break };
        if is_freed(&real)? {
            // Nothing that is on the disk is on the way from here on.
            let rest = &path.as_bytes()[dir.as_bytes().len()..];
            let path = RelPath::parse(&[real.as_bytes(), rest].concat()).map_err(FsError::from)?;
            workspace.check_path(&path)?;
            return Ok(path);
        }
    }
    Ok(resolved?)
}

/// Whether a path was refused because a directory is there.
pub(super) fn is_directory(error: &StagingError) -> bool {
    let StagingError::Fs(FsError::Refused { refusal, .. }) = error else { return false };
    *refusal == Refusal::NotAFile { kind: "directory" }
}
