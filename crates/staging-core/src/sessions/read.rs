//! Reading files as a session sees them: its pending patches over the files on disk.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use atomic_fs::{EntryKind, Fingerprint, RelPath};

use crate::diffing::damaged;
use crate::error::{Result, StagingError};
use crate::ids::SessionId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::stage::proposal::Meaning;
use crate::stage::read_step::ReadStep;
use crate::stage::view::{Pending, View};

/// How often a read starts again because the patch that it reads was replaced.
const READS_MAX: u32 = 16;

impl DiffStagingLayer {
    /// The content of a file as this session sees it, without other sessions' pending patches;
    /// `None` when there is no file.
    ///
    /// # Errors
    /// As [`copy_through`](Self::copy_through).
    pub fn read_through(&self, session: SessionId, path: &RelPath) -> Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        let found = self.copy_through(session, path, &mut content)?;
        Ok(found.map(|_| content))
    }

    /// Writes the content of a file as this session sees it to `out`, in chunks, and returns its
    /// length in bytes; `None` when there is no file.
    ///
    /// # Errors
    /// `SessionNotFound` and `SessionNotOpen`; `Refused` when the path is protected, leads out of
    /// the workspace or is a directory; `Damaged` and `ContentUnreadable` for the staged content;
    /// `Output` when `out` fails. A part of the content may have been written then.
    pub fn copy_through(
        &self,
        session: SessionId,
        path: &RelPath,
        out: &mut dyn Write,
    ) -> Result<Option<u64>> {
        let found = self.0.require_open(session)?;
        self.0.note_activity(&found)?;
        let view = View::new(&self.0, session);
        let path = view.resolve(path, Meaning::Content, &HashSet::new())?;
        let Some(mut reader) = self.0.open_through(session, &path)? else { return Ok(None) };
        copy(&mut *reader, out, &path).map(Some)
    }
}

/// Where the content of the session's file is.
enum Location {
    Store(Fingerprint),
    Disk,
    Absent,
}

impl Inner {
    fn open_through<'a>(
        &'a self,
        session: SessionId,
        path: &RelPath,
    ) -> Result<Option<Box<dyn Read + 'a>>> {
        for _ in 0..READS_MAX {
            return match self.location(session, path)? {
                Location::Absent => Ok(None),
                Location::Disk => {
                    self.at_read(ReadStep::Opens, path);
                    let file = self.workspace.open_file(path)?;
                    Ok(file.map(|file| Box::new(file) as Box<dyn Read>))
                }
                Location::Store(staged) => match self.blobs.open_blob(&staged.digest, None) {
                    Ok(file) => Ok(Some(Box::new(file))),
                    // The patch was replaced meanwhile, and its content removed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => Err(damaged(path)(error)),
                },
            };
        }
        Err(damaged(path)(io::Error::from(io::ErrorKind::NotFound)))
    }

    fn location(&self, session: SessionId, path: &RelPath) -> Result<Location> {
        let staged = match View::new(self, session).pending(path)? {
            None => return Ok(Location::Disk),
            Some(Pending::Removed(_)) => None,
            Some(Pending::Staged(patch)) => patch.staged,
        };
        match staged {
            None => Ok(Location::Absent),
            Some(staged) if staged.kind() == EntryKind::Directory => {
                Err(StagingError::is_a_directory(path))
            }
            Some(staged) => Ok(Location::Store(staged)),
        }
    }
}

fn copy(reader: &mut dyn Read, out: &mut dyn Write, path: &RelPath) -> Result<u64> {
    let mut chunk = vec![0; 128 * 1024];
    let mut bytes = 0;
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => {
                out.write_all(&chunk[..count]).map_err(|source| StagingError::Output { source })?;
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let (operation, path) = ("read", Some(path.clone()));
                return Err(atomic_fs::FsError::Io { operation, path, source: error }.into());
            }
        }
    }
}
