//! Moving and removing names of Greenroom's own, on every kind of file system.
//!
//! A file system that cannot refuse to replace a name says so before it changes anything, so that
//! the call itself is the probe. There a name arrives by link(2), which refuses to replace, and
//! loses its own name afterwards; a file leaves by a plain rename onto a name that only Greenroom
//! uses.

use std::io;
use std::sync::PoisonError;

use super::DirCache;
use crate::error::FsError;
use crate::os::disk::{Disk, is_unsupported};
use crate::rel_path::RelPath;

impl<D: Disk> DirCache<'_, D> {
    /// Moves one of Greenroom's own names to any name, never replacing anything:
    /// `AlreadyExists` then.
    pub(crate) fn rename_own_to(&self, own: &RelPath, to: &RelPath) -> Result<(), FsError> {
        let (own_dir, to_dir) = (self.parent(own)?, self.parent(to)?);
        let (own_name, to_name) = (own.file_name(), to.file_name());
        let moved = match self.disk.rename(&own_dir, own_name, &to_dir, to_name) {
            Err(error) if is_unsupported(&error) => {
                return match self.disk.link(&own_dir, own_name, &to_dir, to_name) {
                    Ok(()) => self.drop_name(own, to),
                    Err(error) => Err(FsError::io("move", to)(error)),
                };
            }
            answer => answer,
        };
        moved.map_err(FsError::io("move", to))
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
        let identity = |path: &RelPath| {
            Ok::<_, FsError>(self.stat(path)?.map(|stat| (stat.device, stat.inode)))
        };
        let one = identity(one)?;
        Ok(one.is_some() && one == identity(other)?)
    }

    /// Moves any name to one of Greenroom's own that is free.
    pub(crate) fn rename_to_own(&self, from: &RelPath, own: &RelPath) -> Result<(), FsError> {
        let (from_dir, own_dir) = (self.parent(from)?, self.parent(own)?);
        let (from_name, own_name) = (from.file_name(), own.file_name());
        let moved = match self.disk.rename(&from_dir, from_name, &own_dir, own_name) {
            Err(error) if is_unsupported(&error) => match self.disk.stat(&own_dir, own_name) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(absent) if absent.kind() == io::ErrorKind::NotFound => {
                    self.disk.rename_replacing(&from_dir, from_name, &own_dir, own_name)
                }
                Err(error) => Err(error),
            },
            answer => answer,
        };
        moved.map_err(FsError::io("move aside", from))
    }

    /// Removes a name, which may be gone already.
    pub(crate) fn remove_name(&self, name: &RelPath) -> Result<(), FsError> {
        let parent = match self.parent(name) {
            Ok(parent) => parent,
            Err(error) if error.is_absence() => return Ok(()),
            Err(error) => return Err(error),
        };
        match self.disk.remove_file(&parent, name.file_name()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FsError::io("remove", name)(error))
            }
            _ => Ok(()),
        }
    }
}
