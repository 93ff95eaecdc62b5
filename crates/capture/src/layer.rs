//! What the commands of a capture have changed: the upper directory of an overlay, or a copy in which they
//! have worked.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::Dir;
use staging_core::CaptureDir;

use crate::changes::{Entry, EntryKind};
use crate::error::{Result, failed};
use crate::files::open;
use crate::made::Made;
use crate::snapshot::below;
use crate::stat::Kind;
use crate::tree::Entries;
use crate::upper::read_upper;
use crate::walk::stat_beneath;

/// A directory that holds what commands have changed, at the paths of the workspace.
pub(crate) struct Layer {
    pub(crate) root: OwnedFd,
    pub(crate) path: PathBuf,
    /// How the copy was made; none for an upper directory.
    made: Option<Made>,
}

impl Layer {
    /// Opens the one that the commands of a session have used.
    pub(crate) fn of(dir: &CaptureDir) -> Result<Self> {
        if dir.has_working_copy() { Self::working_copy(dir) } else { Self::upper(dir) }
    }

    /// Opens the upper directory.
    pub(crate) fn upper(dir: &CaptureDir) -> Result<Self> {
        let path = dir.upper();
        Ok(Self { root: open(&path)?, path, made: None })
    }

    /// Opens the working copy.
    pub(crate) fn working_copy(dir: &CaptureDir) -> Result<Self> {
        let path = dir.working_copy();
        let root = open(&path).or_else(|_| {
            // A command may have closed it.
            dir.create_working_copy()?;
            open(&path)
        })?;
        Ok(Self { root, path, made: Some(Made::read(dir)?) })
    }

    /// Whether commands have written nothing; never of a working copy, which begins with all of the
    /// workspace.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        if self.made.is_some() {
            return Ok(false);
        }
        let is_entry = |name: &CStr| !matches!(name.to_bytes(), b"." | b"..");
        let mut names =
            Dir::read_from(&self.root).map_err(|error| failed("read", &self.path)(error.into()))?;
        // An error is reported by whoever reads all of it.
        Ok(names.all(|entry| entry.is_ok_and(|entry| !is_entry(entry.file_name()))))
    }

    /// Every entry that was changed, by the paths. What `ignored` accepts is left out, together with
    /// everything below it.
    pub(crate) fn entries(&self, ignored: &mut dyn FnMut(&[u8], Kind) -> bool) -> Result<Entries> {
        let entries = match &self.made {
            Some(made) => made.changes(self.root.as_fd(), ignored),
            None => read_upper(self.root.as_fd(), ignored),
        };
        entries.map_err(failed("read", &self.path))
    }

    /// Those of these directories in which something was removed, and that have not changed themselves. An upper
    /// directory has an entry for each.
    pub(crate) fn entered<'p>(
        &self,
        directories: impl Iterator<Item = &'p [u8]>,
        entries: &Entries,
    ) -> Result<Entries> {
        let mut found = Entries::new();
        for path in directories.filter(|_| self.made.is_some()) {
            let mut below = entries.range::<Box<[u8]>, _>(below(path));
            if entries.contains_key(path) || below.next().is_none() {
                continue;
            }
            let there =
                stat_beneath(self.root.as_fd(), path).map_err(failed("read", &self.path))?;
            if let Some(stat) = there.filter(|there| there.kind == Kind::Directory) {
                let kind = EntryKind::Directory { opaque: false };
                found.insert(path.into(), Entry { kind, stat });
            }
        }
        Ok(found)
    }
}
