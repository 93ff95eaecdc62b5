//! What lies below a directory, and making and removing directories.

use std::io;

use super::DirCache;
use crate::error::{FsError, IfThere as _};
use crate::os::disk::{Disk, FileKind};
use crate::rel_path::RelPath;

impl<D: Disk> DirCache<'_, D> {
    /// Whether a directory is there that holds nothing.
    pub(crate) fn is_empty_dir(&self, path: &RelPath) -> Result<bool, FsError> {
        let Some(opened) = self.open_dir(Some(path)).if_there()? else { return Ok(false) };
        Ok(self.disk.list(&opened).map_err(FsError::io("list", path))?.is_empty())
    }

    /// Everything below a directory, parents before children; `None` when it is no directory.
    pub(crate) fn tree(&self, path: &RelPath) -> Result<Option<Vec<(RelPath, FileKind)>>, FsError> {
        let mut found = Vec::new();
        let mut left = vec![path.clone()];
        while let Some(dir) = left.pop() {
            let opened = match self.open_dir(Some(&dir)).if_there()? {
                Some(opened) => opened,
                None if dir == *path => return Ok(None),
                None => continue,
            };
            for entry in self.disk.list(&opened).map_err(FsError::io("list", &dir))? {
                let inner = dir.join(&entry.name)?;
                let looked_at = || self.disk.stat(&opened, &entry.name).map(|stat| stat.kind);
                let kind = entry.kind.map_or_else(looked_at, Ok).if_found();
                let kind = kind.map_err(FsError::io("look at", &inner))?;
                let Some(kind) = kind else { continue };
                if kind == FileKind::Directory {
                    left.push(inner.clone());
                }
                found.push((inner, kind));
            }
        }
        Ok(Some(found))
    }

    /// Removes a directory in which there are none but directories; whether it is gone.
    pub(crate) fn remove_empty_tree(&self, path: &RelPath) -> Result<bool, FsError> {
        let Some(tree) = self.tree(path)? else { return Ok(false) };
        if tree.iter().any(|(_, kind)| *kind != FileKind::Directory) {
            return Ok(false);
        }
        // Parents come before children.
        for dir in tree.iter().rev().map(|(dir, _)| dir).chain([path]) {
            let parent = self.parent(dir)?;
            match self.disk.remove_dir(&parent, dir.file_name()) {
                Ok(()) => self.forget_dir(dir),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(FsError::io("remove the directory", dir)(error)),
            }
        }
        Ok(true)
    }

    /// Makes the directories above a path that something else has removed.
    ///
    /// # Errors
    /// `NotADirectory` or `AlreadyExists` as the system says it, where a file is in the way.
    pub(crate) fn make_parents(&self, path: &RelPath) -> Result<(), FsError> {
        let mut missing = Vec::new();
        for dir in path.dirs_above() {
            if self.dir(Some(&dir)).if_there()?.is_some() {
                break;
            }
            missing.push(dir);
        }
        for dir in missing.iter().rev() {
            let parent = self.parent(dir)?;
            let made = self.disk.create_dir(&parent, dir.file_name());
            let made = made.unless(&[io::ErrorKind::AlreadyExists]);
            made.map_err(FsError::io("make the directory", dir))?;
            self.disk.sync_dir(&parent).map_err(FsError::io("sync the directory of", dir))?;
        }
        Ok(())
    }
}
