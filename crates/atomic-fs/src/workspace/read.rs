//! Reading a workspace's files and directories.

use std::collections::HashSet;
use std::io::{self, Read};

use super::{SystemDisk, Workspace};
use crate::error::{FsError, IfThere as _};
use crate::os::disk::{Disk, Entry, FileKind, Stat, is_symlink_error};
use crate::os::file_reader::FileReader;
use crate::refusal::Refusal;
use crate::rel_path::RelPath;

impl<D: Disk> Workspace<D> {
    /// The status of a name, not following symlinks; `None` when it, or a parent, is
    /// absent.
    ///
    /// # Errors
    /// [`FsError::Refused`] when a parent is a symlink or another mount.
    pub fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        self.cache().stat(path)
    }

    /// The status of many names, with every directory opened once.
    ///
    /// # Errors
    /// One for each name, as [`stat`](Self::stat).
    pub fn stat_all<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p RelPath>,
    ) -> Vec<Result<Option<Stat>, FsError>> {
        let cache = self.cache();
        // A directory that is to be created is looked for once, however many files come into it.
        let mut absent = HashSet::new();
        let stat = |path: &RelPath| {
            let parent = path.parent();
            if absent.contains(&parent) {
                return Ok(None);
            }
            if cache.dir(parent.as_ref()).if_there()?.is_none() {
                absent.insert(parent);
                return Ok(None);
            }
            cache.stat(path)
        };
        paths.into_iter().map(stat).collect()
    }

    /// The names in a directory, the root when none is given, without Greenroom's own, in
    /// any order; `None` when it is absent, or no directory. Symlinks are not followed.
    ///
    /// # Errors
    /// [`FsError::Refused`] when the path is protected, or a part of it a symlink or
    /// another mount.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Option<Vec<Entry>>, FsError> {
        if let Some(dir) = dir {
            self.policy.check_path(dir)?;
        }
        let Some(opened) = self.cache().dir(dir).if_there()? else { return Ok(None) };
        let mut entries = self.disk.list(&opened).map_err(FsError::io("list", dir))?;
        entries.retain(|entry| !self.policy.is_own(dir, &entry.name));
        Ok(Some(entries))
    }

    /// Opens a regular file for reading, not following symlinks; `None` when it is
    /// absent.
    ///
    /// # Errors
    /// [`Refusal::NotAFile`] for anything but a regular file, [`Refusal::OtherMount`] for one
    /// that is a mount point by itself.
    pub fn open_file(&self, path: &RelPath) -> Result<Option<OpenFile<'_, D>>, FsError> {
        let cache = self.cache();
        let not_a_file = |kind| FsError::refused(path, Refusal::NotAFile { kind });
        match cache.stat(path)? {
            None => return Ok(None),
            Some(stat) => match stat.kind {
                FileKind::Regular => {}
                FileKind::Directory => return Err(not_a_file("directory")),
                FileKind::Symlink => return Err(not_a_file("symlink")),
                FileKind::Other => return Err(not_a_file("special file")),
            },
        }
        let parent = cache.parent(path)?;
        let file = match self.disk.open_file(&parent, path.file_name()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_symlink_error(&error) => return Err(not_a_file("symlink")),
            Err(error) => return Err(FsError::opening_file(path, error)),
        };
        let stat = self.disk.file_stat(&file).map_err(FsError::io("look at", path))?;
        if stat.kind != FileKind::Regular {
            return Err(not_a_file("special file"));
        }
        Ok(Some(OpenFile { disk: &self.disk, file, stat, offset: 0 }))
    }

    /// The target and the status of the symbolic link at a path; `None` where none is.
    ///
    /// # Errors
    /// [`FsError::Refused`] when a parent is a symlink or another mount.
    pub fn read_link(&self, path: &RelPath) -> Result<Option<(Vec<u8>, Stat)>, FsError> {
        let cache = self.cache();
        let Some(stat) = cache.stat(path)?.filter(|stat| stat.kind == FileKind::Symlink) else {
            return Ok(None);
        };
        let parent = cache.parent(path)?;
        let target = self.disk.read_link(&parent, path.file_name());
        // It may be no link any more.
        let target = target.unless(&[io::ErrorKind::NotFound, io::ErrorKind::InvalidInput]);
        let target = target.map_err(FsError::io("read the symlink", path))?;
        Ok(target.map(|target| (target, stat)))
    }

    /// Whether the file at a path gives capabilities to who runs it; new content does not keep
    /// them.
    ///
    /// # Errors
    /// [`FsError::Refused`] where it lies on another mount, [`FsError::Io`].
    pub fn has_capabilities(&self, path: &RelPath) -> Result<bool, FsError> {
        let Some(file) = self.cache().open_file(path).if_there()? else { return Ok(false) };
        self.disk.has_capabilities(&file).map_err(FsError::io("look at", path))
    }
}

/// A regular file opened for reading.
pub struct OpenFile<'w, D: Disk = SystemDisk> {
    disk: &'w D,
    file: D::File,
    stat: Stat,
    offset: u64,
}

impl<D: Disk> OpenFile<'_, D> {
    /// Its status when it was opened.
    pub fn stat(&self) -> Stat {
        self.stat
    }

    /// Its status now.
    ///
    /// # Errors
    /// What the system says.
    pub fn stat_now(&self) -> io::Result<Stat> {
        self.disk.file_stat(&self.file)
    }
}

impl<D: Disk> Read for OpenFile<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reader = FileReader { disk: self.disk, file: &self.file, offset: self.offset };
        let count = reader.read(buffer)?;
        self.offset += count as u64;
        Ok(count)
    }
}
