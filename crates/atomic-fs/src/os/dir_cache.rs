//! The directories of a workspace, each opened once and kept.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::FsError;
use crate::git_facts::GitFacts;
use crate::locations::Locations;
use crate::options::Options;
use crate::os::disk::{Disk, is_symlink_error};
use crate::refusal::Refusal;
use crate::rel_path::RelPath;

mod names;
mod state;
mod tree;

/// The disk below one workspace's root, with directory handles opened once.
pub(crate) struct DirCache<'a, D: Disk> {
    pub disk: &'a D,
    pub locations: &'a Locations<D>,
    pub options: &'a Options,
    /// Whether a directory could not be synced in the middle of the swaps. Held while one
    /// is, since only one of two concurrent syncs reports a failure.
    pub sync_failed: Mutex<bool>,
    dirs: Mutex<Dirs<D>>,
    /// Directories and links that the set at hand takes away. A link that comes in place of a
    /// directory leads to nothing that was in it, and a directory in place of a link is not what
    /// that led to.
    made_way: Mutex<Vec<RelPath>>,
    git_dirs: Mutex<HashMap<Option<RelPath>, Arc<GitFacts>>>,
}

/// Directories that have been opened.
struct Dirs<D: Disk> {
    open: HashMap<Option<RelPath>, Arc<D::Dir>>,
    /// Device and inode of those whose handle has been closed, so that another directory that
    /// has come to a path is not taken for the one that was worked in before.
    closed: HashMap<RelPath, (u64, u64)>,
}

impl<'a, D: Disk> DirCache<'a, D> {
    pub(crate) fn new(disk: &'a D, locations: &'a Locations<D>, options: &'a Options) -> Self {
        let dirs = Mutex::new(Dirs { open: HashMap::new(), closed: HashMap::new() });
        Self {
            disk,
            locations,
            options,
            sync_failed: Mutex::new(false),
            dirs,
            made_way: Mutex::default(),
            git_dirs: Mutex::default(),
        }
    }

    /// The directory's handle, kept for later calls as long as not too many are open.
    ///
    /// # Errors
    /// [`FsError::DirectoryMoved`] when one has been open at this path and another one, or
    /// none, is there now.
    pub(crate) fn dir(&self, path: Option<&RelPath>) -> Result<Arc<D::Dir>, FsError> {
        let key = path.cloned();
        if let Some(dir) = self.dirs().open.get(&key) {
            return Ok(dir.clone());
        }
        let opened = self.open_dir(path);
        let mut dirs = self.dirs();
        if let Some(path) = path
            && let Some(before) = dirs.closed.get(path)
        {
            let moved = || FsError::DirectoryMoved { path: path.clone() };
            match &opened {
                Ok(dir) if self.identity(path, dir)? == *before => {}
                Ok(_) => return Err(moved()),
                Err(error) if error.is_absence() => return Err(moved()),
                Err(_) => {}
            }
        }
        let opened = opened?;
        if dirs.open.len() >= self.disk.open_dirs_max() {
            // All of them, since a set that touches so many goes from one to the next.
            for (path, dir) in std::mem::take(&mut dirs.open) {
                let Some(path) = path else { continue };
                let identity = self.identity(&path, &dir)?;
                dirs.closed.insert(path, identity);
            }
        }
        Ok(dirs.open.entry(key).or_insert_with(|| Arc::new(opened)).clone())
    }

    fn open_dir(&self, path: Option<&RelPath>) -> Result<D::Dir, FsError> {
        let (root, cross_mounts) = (&self.locations.root, self.options.allow_other_mounts);
        self.disk.open_dir_beneath(root, path, cross_mounts).map_err(|source| match path {
            Some(path) if is_symlink_error(&source) && self.has_made_way(path) => {
                FsError::io("open", path)(io::ErrorKind::NotFound.into())
            }
            _ => dir_error(path, source),
        })
    }

    /// Notes the directories and links that the set at hand takes away: nothing is found below a
    /// link at their paths.
    pub(crate) fn note_making_way(&self, paths: impl Iterator<Item = RelPath>) {
        *self.made_way.lock().unwrap_or_else(PoisonError::into_inner) = paths.collect();
    }

    fn has_made_way(&self, path: &RelPath) -> bool {
        let made_way = self.made_way.lock().unwrap_or_else(PoisonError::into_inner);
        made_way.iter().any(|way| path.starts_with(way))
    }

    fn identity(&self, path: &RelPath, dir: &D::Dir) -> Result<(u64, u64), FsError> {
        self.disk.identity(dir).map_err(FsError::io("look at", path))
    }

    /// Refuses to go on when a directory that has been worked in is not at its path any more:
    /// its handle leads to wherever it is now.
    pub(crate) fn check_in_place(&self, path: &RelPath) -> Result<(), FsError> {
        let worked_in = self.dir(Some(path))?;
        let moved = || FsError::DirectoryMoved { path: path.clone() };
        match self.open_dir(Some(path)) {
            Ok(there) if self.identity(path, &there)? == self.identity(path, &worked_in)? => Ok(()),
            // A symlink, another mount, nothing.
            Ok(_) | Err(FsError::Refused { .. }) => Err(moved()),
            Err(error) if error.is_absence() => Err(moved()),
            Err(error) => Err(error),
        }
    }

    /// Forgets a directory that has just been removed or moved, and those in it.
    pub(crate) fn forget_dir(&self, path: &RelPath) {
        let mut dirs = self.dirs();
        dirs.open.retain(|open, _| !open.as_ref().is_some_and(|open| open.starts_with(path)));
        dirs.closed.retain(|closed, _| !closed.starts_with(path));
    }

    /// A directory, or the nearest one above it that is there, and its handle.
    pub(crate) fn nearest_dir(
        &self,
        mut dir: Option<RelPath>,
    ) -> Result<(Option<RelPath>, Arc<D::Dir>), FsError> {
        loop {
            match self.dir(dir.as_ref()) {
                Err(error) if error.is_absence() && dir.is_some() => {
                    dir = dir.as_ref().and_then(RelPath::parent);
                }
                opened => return opened.map(|handle| (dir, handle)),
            }
        }
    }

    /// The handle of the directory that a file lies in.
    pub(crate) fn parent(&self, path: &RelPath) -> Result<Arc<D::Dir>, FsError> {
        self.dir(path.parent().as_ref())
    }

    fn dirs(&self) -> MutexGuard<'_, Dirs<D>> {
        // Only whole entries are ever inserted, so a panic elsewhere leaves it sound.
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of git's directories so far.
    pub(crate) fn git_dirs(&self) -> MutexGuard<'_, HashMap<Option<RelPath>, Arc<GitFacts>>> {
        self.git_dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns an error of opening a directory into what it means for the path.
fn dir_error(path: Option<&RelPath>, source: io::Error) -> FsError {
    let Some(path) = path else { return FsError::io("open", None)(source) };
    let refusal = match source.kind() {
        io::ErrorKind::CrossesDevices => Refusal::OtherMount,
        _ if is_symlink_error(&source) => Refusal::LeadsOut,
        _ => return FsError::io("open", path)(source),
    };
    FsError::refused(path, refusal)
}
