//! A directory that a set takes away: moved aside whole once the set's files have left it.
//!
//! rmdir(2) would lose its owner, its attributes and its access control list, which taking the set
//! back must bring. So the directory, with the empty ones below it, gets a slot's name like a file
//! that is deleted, and is removed when the slots are cleaned up. What a user puts into it
//! meanwhile is found there, and the directory goes back.

use std::collections::BTreeSet;
use std::io::ErrorKind::{AlreadyExists, NotFound};

use crate::apply::intent::{DirBelow, Intent, Unit};
use crate::apply::swapper::{Obstacle, Swapper};
use crate::conflict::Difference;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_state::FileState;
use crate::rel_path::RelPath;

/// Whether a directory holds anything but the directories below it that its set takes away as well;
/// `None` when it is no directory. `at` is where it is now: its path, or its slot.
pub(crate) fn holds_others<D: Disk>(
    cache: &DirCache<'_, D>,
    at: &RelPath,
    path: &RelPath,
    below: &[DirBelow],
) -> Result<Option<bool>, FsError> {
    let known: BTreeSet<&[u8]> =
        below.iter().filter_map(|(dir, _)| dir.as_bytes().strip_prefix(path.as_bytes())).collect();
    let Some(tree) = cache.tree(at)? else { return Ok(None) };
    let is_known = |inner: &RelPath, kind: FileKind| {
        let rest = inner.as_bytes().strip_prefix(at.as_bytes());
        kind == FileKind::Directory && rest.is_some_and(|rest| known.contains(rest))
    };
    Ok(Some(tree.iter().any(|(inner, kind)| !is_known(inner, *kind))))
}

impl<D: Disk> Swapper<'_, '_, D> {
    /// Moves the directory aside into the slot, and verifies that nothing has come into it.
    pub(crate) fn clear_dir(&self, unit: &Unit, below: &[DirBelow]) -> Result<(), Obstacle> {
        let (cache, path) = (self.cache, &unit.path);
        let conflict = |difference| Err(Obstacle::of(path, difference));
        match holds_others(cache, path, path, below)? {
            Some(false) => {}
            Some(true) => return conflict(Difference::NotEmpty),
            None if cache.stat(path)?.is_some() => return conflict(Difference::Kind),
            None => return conflict(Difference::Missing),
        }
        if self.rename_dir(path, &unit.slot).if_found()?.is_none() {
            return conflict(Difference::Missing);
        }
        match holds_others(cache, &unit.slot, path, below)? {
            Some(false) => Ok(()),
            Some(true) | None => {
                self.dir_back(unit, below)?;
                conflict(Difference::NotEmpty)
            }
        }
    }

    /// Moves the directory back, or makes another one where something else has removed it. What a
    /// user has put at its path stays.
    pub(crate) fn dir_back(&self, unit: &Unit, below: &[DirBelow]) -> Result<(), FsError> {
        let cache = self.cache;
        self.rename_dir(&unit.slot, &unit.path).unless(&[NotFound, AlreadyExists])?;
        for (dir, mode) in below {
            let Some(parent) = cache.parent(dir).if_there()? else { continue };
            let made = match cache.disk.create_dir(&parent, dir.file_name()) {
                Ok(()) => mode
                    .map_or(Ok(()), |mode| cache.disk.set_dir_mode(&parent, dir.file_name(), mode)),
                Err(error) if error.kind() == AlreadyExists => Ok(()),
                Err(error) => Err(error),
            };
            made.map_err(FsError::io("make the directory", dir))?;
        }
        Ok(())
    }

    /// Removes a directory's slot; one that holds something is kept.
    pub(crate) fn clean_dir_slot(&self, unit: &Unit, below: &[DirBelow]) -> Result<(), FsError> {
        let cache = self.cache;
        match cache.file_state(&unit.slot)? {
            FileState::Absent => return Ok(()),
            FileState::Other(FileKind::Directory) => {}
            _ => return self.keep(unit),
        }
        for (dir, _) in below.iter().rev() {
            if let Some(rest) = dir.as_bytes().strip_prefix(unit.path.as_bytes())
                && let Some(name) = rest.strip_prefix(b"/")
            {
                self.remove_dir(&unit.slot.join(name)?)?;
            }
        }
        self.remove_dir(&unit.slot)?;
        match cache.stat(&unit.slot)? {
            None => Ok(()),
            Some(_) => self.keep(unit),
        }
    }

    /// Gives a directory another name that is free. Both are in one directory.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    fn rename_dir(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        let cache = self.cache;
        let (from_dir, to_dir) = (cache.parent(from)?, cache.parent(to)?);
        let (from_name, to_name) = (from.file_name(), to.file_name());
        // A directory has no second name to make first; rename(2) replaces no file with one, and no
        // directory that holds something.
        let moved = cache.rename_to_free((&from_dir, from_name), (&to_dir, to_name));
        cache.forget_dir(from);
        cache.forget_dir(to);
        moved.map_err(FsError::io("move the directory", from))
    }
}

/// Removes the directories that a set has emptied, innermost first, as git does. One that holds
/// something stays, and those above it.
///
/// # Durability
/// What was removed stays so after a power cut.
pub(crate) fn remove_emptied<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
) -> Result<(), FsError> {
    let cache = swapper.cache;
    let mut parents = BTreeSet::new();
    for (dir, _) in intent.emptied.iter().rev() {
        if cache.is_empty_dir(dir)? {
            swapper.remove_dir(dir)?;
        }
        // The process that removed it may have been killed before that was durable.
        if cache.stat(dir)?.is_none() {
            parents.remove(&Some(dir.clone()));
            parents.insert(dir.parent());
        }
    }
    for parent in parents {
        if let Some(dir) = cache.dir(parent.as_ref()).if_there()? {
            cache.disk.sync_dir(&dir).map_err(FsError::io("sync", parent.as_ref()))?;
        }
    }
    Ok(())
}
