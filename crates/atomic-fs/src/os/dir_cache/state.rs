//! What a name holds now, read through an open directory.

use std::io;

use super::DirCache;
use crate::content::Digest;
use crate::error::{FsError, IfThere as _};
use crate::os::disk::{Disk, FileKind, Lease, Stat};
use crate::os::file_reader::FileReader;
use crate::os::file_state::FileState;
use crate::rel_path::RelPath;

impl<D: Disk> DirCache<'_, D> {
    /// A name's status; `None` when it, or a directory on the way, is absent.
    pub(crate) fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        let Some(parent) = self.parent(path).if_there()? else { return Ok(None) };
        let stat = self.disk.stat(&parent, path.file_name()).if_found();
        stat.map_err(FsError::io("look at", path))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Refusal::OtherMount`] for a file that is a mount point by itself.
    pub(crate) fn open_file(&self, path: &RelPath) -> Result<D::File, FsError> {
        let parent = self.parent(path)?;
        self.disk
            .open_file(&parent, path.file_name())
            .map_err(|source| FsError::opening_file(path, source))
    }

    /// Reads what a name holds, content and all.
    pub(crate) fn file_state(&self, path: &RelPath) -> Result<FileState, FsError> {
        let Some(stat) = self.stat(path)? else { return Ok(FileState::Absent) };
        match stat.kind {
            FileKind::Regular => {}
            FileKind::Symlink => return self.link_state(path, stat),
            FileKind::Directory | FileKind::Other => return Ok(FileState::Other(stat.kind)),
        }
        let Some(file) = self.open_file(path).if_found()? else { return Ok(FileState::Absent) };
        self.open_file_state(&file).map_err(FsError::io("read", path))
    }

    /// Reads a symbolic link that was there a moment ago. A link is never changed, only replaced.
    fn link_state(&self, path: &RelPath, mut stat: Stat) -> Result<FileState, FsError> {
        let parent = self.parent(path)?;
        loop {
            let target = match self.disk.read_link(&parent, path.file_name()) {
                Ok(target) => target,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(FileState::Absent);
                }
                // No link any more.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return self.file_state(path);
                }
                Err(error) => return Err(FsError::io("read the symlink", path)(error)),
            };
            match self.stat(path)? {
                Some(now) if now.inode == stat.inode && now.changed_ns == stat.changed_ns => {
                    return Ok(FileState::File { stat, digest: Digest::of(&target) });
                }
                Some(now) if now.kind == FileKind::Symlink => stat = now,
                _ => return self.file_state(path),
            }
        }
    }

    /// Reads what a name holds, and refuses a file that somebody has open for writing.
    pub(crate) fn file_state_unless_busy(&self, path: &RelPath) -> Result<FileState, FsError> {
        let Some(file) = self.open(path)? else { return self.file_state(path) };
        let state = self.open_file_state(&file).map_err(FsError::io("read", path))?;
        match self.disk.lease(&file).map_err(FsError::io("guard", path))? {
            Lease::Held | Lease::Unavailable => Ok(state),
            Lease::Busy => Err(self.busy(path, &file)),
        }
    }

    /// Opens a regular file; `None` for anything else, and where nothing is.
    fn open(&self, path: &RelPath) -> Result<Option<D::File>, FsError> {
        match self.stat(path)? {
            Some(stat) if stat.kind == FileKind::Regular => self.open_file(path).if_found(),
            _ => Ok(None),
        }
    }

    /// Says who has the file open.
    pub(crate) fn busy(&self, path: &RelPath, file: &D::File) -> FsError {
        let process = self.disk.file_stat(file).ok().and_then(|stat| self.disk.writer(&stat));
        FsError::Busy { path: path.clone(), process }
    }

    /// What an open file holds.
    pub(crate) fn open_file_state(&self, file: &D::File) -> io::Result<FileState> {
        let stat = self.disk.file_stat(file)?;
        if stat.kind != FileKind::Regular {
            return Ok(FileState::Other(stat.kind));
        }
        let mut reader = FileReader { disk: self.disk, file, offset: 0 };
        let (digest, bytes) = Digest::of_reader(&mut reader)?;
        // The status may have changed while reading; what was read is what counts.
        let stat = Stat { bytes, ..self.disk.file_stat(file)? };
        Ok(FileState::File { stat, digest })
    }
}
