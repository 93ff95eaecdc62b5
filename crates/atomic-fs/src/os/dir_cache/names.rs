//! Moving and removing names of Greenroom's own, on every kind of file system.
//!
//! A file system that cannot refuse to replace a name says so before it changes anything, so that
//! the call itself is the probe. There a name arrives by link(2), which refuses to replace, and
//! loses its own name afterwards; a file leaves by a plain rename onto a name that only Greenroom
//! uses.

use std::io;
use std::sync::PoisonError;

use super::DirCache;
use crate::error::{FsError, IfThere as _};
use crate::os::disk::{Disk, NameIn, is_unsupported};
use crate::rel_path::RelPath;

impl<D: Disk> DirCache<'_, D> {
    /// Moves one of Greenroom's own names to any name, never replacing anything:
    /// `AlreadyExists` then.
    pub(crate) fn rename_own_to(&self, own: &RelPath, to: &RelPath) -> Result<(), FsError> {
        let (own_dir, to_dir) = (self.parent(own)?, self.parent(to)?);
        let (own_place, to_place) = ((&*own_dir, own.file_name()), (&*to_dir, to.file_name()));
        match self.disk.rename(own_place, to_place) {
            Err(error) if is_unsupported(&error) => {
                self.disk.link(own_place, to_place).map_err(FsError::io("move", to))?;
                self.drop_name(own, to)
            }
            answer => answer.map_err(FsError::io("move", to)),
        }
    }

    /// Removes one of a file's two names, once the other is durable: were the other lost
    /// in a power cut and the removal not, the file would be gone.
    pub(crate) fn drop_name(&self, own: &RelPath, other: &RelPath) -> Result<(), FsError> {
        self.sync_parent(other)?;
        self.remove_name(own)
    }

    /// Makes the names beside a path durable in the middle of the swaps.
    pub(crate) fn sync_parent(&self, path: &RelPath) -> Result<(), FsError> {
        let parent = self.parent(path)?;
        let mut has_failed = self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = match *has_failed {
            // A later sync of the same directory proves nothing.
            true => Err(io::Error::other("another sync has failed")),
            false => self.disk.sync_dir(&parent),
        };
        *has_failed |= synced.is_err();
        synced.map_err(FsError::io("sync the directory of", path))
    }

    /// Whether two names are one file's.
    pub(crate) fn is_same_file(&self, one: &RelPath, other: &RelPath) -> Result<bool, FsError> {
        let Some(one) = self.stat(one)? else { return Ok(false) };
        Ok(self.stat(other)?.is_some_and(|other| other.identity() == one.identity()))
    }

    /// Moves any name to one of Greenroom's own that is free.
    pub(crate) fn rename_to_own(&self, from: &RelPath, own: &RelPath) -> Result<(), FsError> {
        let (from_dir, own_dir) = (self.parent(from)?, self.parent(own)?);
        self.rename_to_free((&from_dir, from.file_name()), (&own_dir, own.file_name()))
            .map_err(FsError::io("move aside", from))
    }

    /// Renames to a name that is free. Where the file system cannot refuse to replace one, the name is
    /// looked at first: a file comes to a name that only Greenroom uses.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    pub(crate) fn rename_to_free(
        &self,
        from: NameIn<'_, D::Dir>,
        to: NameIn<'_, D::Dir>,
    ) -> io::Result<()> {
        match self.disk.rename(from, to) {
            Err(error) if is_unsupported(&error) => match self.disk.stat(to.0, to.1).if_found()? {
                Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
                None => self.disk.rename_replacing(from, to),
            },
            answer => answer,
        }
    }

    /// Removes a name, which may be gone already.
    pub(crate) fn remove_name(&self, name: &RelPath) -> Result<(), FsError> {
        let Some(parent) = self.parent(name).if_there()? else { return Ok(()) };
        let removed = self.disk.remove_file(&parent, name.file_name()).if_found();
        removed.map(drop).map_err(FsError::io("remove", name))
    }
}
