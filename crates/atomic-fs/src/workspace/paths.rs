//! Which file a path means, and which paths and files are refused.

use super::Workspace;
use crate::beneath::{self, LastSymlink, Overlaid, Overlay};
use crate::error::FsError;
use crate::os::disk::{Disk, Stat};
use crate::policy::check_mode_change;
use crate::rel_path::RelPath;

impl<D: Disk> Workspace<D> {
    /// The file that a path really concerns: symlinks below the root are followed, and
    /// everything that can be refused by its path is. The file may be absent.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn resolve(&self, path: &RelPath) -> Result<RelPath, FsError> {
        self.resolve_with(path, LastSymlink::Followed, &mut beneath::disk_alone)
    }

    /// The name that a path really means, whatever is there, a symlink as well: symlinks on the way
    /// are followed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_entry(&self, path: &RelPath) -> Result<RelPath, FsError> {
        self.resolve_with(path, LastSymlink::Meant, &mut beneath::disk_alone)
    }

    /// As [`resolve`](Self::resolve), where something else than what is on the disk counts: what
    /// `overlay` reports for a path.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), and those of `overlay`.
    pub fn resolve_over<E: From<FsError>>(
        &self,
        path: &RelPath,
        overlay: &mut dyn FnMut(&RelPath) -> Result<Option<Overlaid>, E>,
    ) -> Result<RelPath, E> {
        self.resolve_with(path, LastSymlink::Followed, overlay)
    }

    /// As [`resolve_entry`](Self::resolve_entry), and [`resolve_over`](Self::resolve_over).
    ///
    /// # Errors
    /// As [`resolve_over`](Self::resolve_over).
    pub fn resolve_entry_over<E: From<FsError>>(
        &self,
        path: &RelPath,
        overlay: &mut dyn FnMut(&RelPath) -> Result<Option<Overlaid>, E>,
    ) -> Result<RelPath, E> {
        self.resolve_with(path, LastSymlink::Meant, overlay)
    }

    fn resolve_with<E: From<FsError>>(
        &self,
        path: &RelPath,
        last: LastSymlink,
        overlay: &mut Overlay<'_, E>,
    ) -> Result<RelPath, E> {
        self.policy.check_path(path)?;
        let cache = self.cache();
        let root = &self.locations.root_path;
        let resolved = beneath::resolve(&cache, root, path, last, overlay)?;
        self.policy.check_resolved(&cache, &resolved)?;
        if resolved.is_on_disk {
            // Opens the parent as a change would, so that a mount is noticed now.
            cache.stat(&resolved.path)?;
        }
        Ok(resolved.path)
    }

    /// Refuses a path by its names alone, without a look at the disk.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn check_path(&self, path: &RelPath) -> Result<(), FsError> {
        self.policy.check_path(path)
    }

    /// Refuses a file by its own state: hard links, setuid, not a regular file.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn check_target(&self, path: &RelPath, stat: &Stat) -> Result<(), FsError> {
        self.policy.check_file(path, stat)
    }

    /// Refuses a symbolic link at a path, a resolved one, by where it would lead: out of the
    /// workspace, or to what is protected in it. What it leads to may be absent. `overlay` is asked
    /// as by [`resolve_over`](Self::resolve_over).
    ///
    /// # Errors
    /// [`Refusal::LinkTarget`](crate::Refusal::LinkTarget); those of `overlay`.
    pub fn check_link<E: From<FsError>>(
        &self,
        path: &RelPath,
        target: &[u8],
        overlay: &mut dyn FnMut(&RelPath) -> Result<Option<Overlaid>, E>,
    ) -> Result<(), E> {
        // A refusal of the overlay's own is the caller's, and no word on the link.
        let mut failed = None;
        let checked = self.policy.check_link(&self.cache(), path, target, &mut |path| {
            overlay(path).or_else(|error| {
                failed = Some(error);
                Ok(None)
            })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(checked?),
        }
    }

    /// Refuses a change of the mode alone of a file that has other names; its new content would
    /// break them.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn check_mode_change(&self, path: &RelPath) -> Result<(), FsError> {
        self.stat(path)?.map_or(Ok(()), |stat| check_mode_change(path, &stat))
    }

    /// The permission bits that the system would give a new file, of which a program asks for
    /// 0666: where the directory has a default access control list, the umask does not count.
    ///
    /// # Errors
    /// [`FsError::Refused`] when a parent is a symlink or another mount.
    pub fn new_file_mode(&self, path: &RelPath, by_umask: u32) -> Result<u32, FsError> {
        // New directories inherit the list of the one that they are made in.
        let (_, dir) = self.cache().nearest_dir(path.parent())?;
        let allowed = self.disk.default_mode(&dir);
        let allowed = allowed.map_err(FsError::io("read the access control of", path))?;
        Ok(allowed.map_or(by_umask, |allowed| 0o666 & allowed))
    }
}
