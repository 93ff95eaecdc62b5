//! How much the layers of a session hold.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use staging_core::CaptureDir;

use crate::error::{Result, failed};
use crate::files::open;
use crate::held_git;
use crate::layer::Layer;
use crate::session::SessionCapture;
use crate::stat::Kind;
use crate::walk::{self, Visit};

/// The file of a capture that holds what was measured last.
const FILE: &str = "size";

/// How much a session's commands have written. What is in a directory that its owner cannot read is not
/// counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSize {
    /// Files of every kind, ignored ones and git's own too.
    pub files: u64,
    /// Their bytes; of a file with holes, what it takes on the disk.
    pub bytes: u64,
    /// The bytes of the copy of the workspace that the session's views show or in which its commands work, if
    /// there is one, without what commands have written.
    pub copy_bytes: u64,
}

impl LayerSize {
    /// Walks what a capture holds.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn measure(dir: &CaptureDir) -> Result<Self> {
        let mut size = Self::default();
        if !dir.exists() {
            return Ok(size);
        }
        let git = held_git::read(dir)?.into_iter().map(|layer| layer.upper(dir));
        for upper in [dir.upper()].into_iter().chain(git) {
            let (files, bytes) = sum(&upper)?;
            size.files += files;
            size.bytes += bytes;
        }
        if dir.has_copy() {
            size.copy_bytes = sum(&dir.copy())?.1;
        }
        if dir.has_working_copy() {
            size.add_working_copy(dir)?;
        }
        Ok(size)
    }

    /// Adds what commands have written in a working copy, and to its temporary files; the rest of it is a copy
    /// of the workspace.
    fn add_working_copy(&mut self, dir: &CaptureDir) -> Result<()> {
        let copy = Layer::working_copy(dir)?;
        let changed = copy.entries(&mut |_, _| false)?;
        let (mut files, mut bytes, mut copied) = (0, 0, 0);
        each_file(&copy.path, &mut |path, size| match changed.contains_key(path) {
            true => (files, bytes) = (files + 1, bytes + size),
            false => copied += size,
        })?;
        if dir.temporary().is_dir() {
            let (more, more_bytes) = sum(&dir.temporary())?;
            (files, bytes) = (files + more, bytes + more_bytes);
        }
        self.files += files;
        self.bytes += bytes;
        self.copy_bytes += copied;
        Ok(())
    }
}

impl SessionCapture<'_> {
    /// Measures what the session holds, and records it for [`recorded_size`](Self::recorded_size).
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn measure(&self) -> Result<LayerSize> {
        let size = LayerSize::measure(&self.dir)?;
        // Who works here now measures it later.
        if let Some(_lock) = self.dir.try_lock()? {
            self.write(FILE, &size)?;
        }
        Ok(size)
    }

    /// What was measured last: when a command ended, or while one that was killed ran. None where
    /// nothing was.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn recorded_size(&self) -> Result<Option<LayerSize>> {
        self.read(FILE)
    }
}

/// The files below a directory, and their bytes.
fn sum(directory: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    each_file(directory, &mut |_, size| (files, bytes) = (files + 1, bytes + size))?;
    Ok((files, bytes))
}

/// Calls `found` with the path and the bytes of each file below a directory.
fn each_file(directory: &Path, found: &mut dyn FnMut(&[u8], u64)) -> Result<()> {
    let opened = open(directory)?;
    let mut visit = |reached: walk::Reached<'_>| -> io::Result<Visit> {
        if reached.kind != Kind::Directory
            && let Some((stat, extra)) = walk::stat(reached.parent, reached.name)?
        {
            let is_file = stat.kind == Kind::File;
            found(reached.path, if is_file { stat.size.min(extra.allocated) } else { 0 });
        }
        Ok(Visit::Enter)
    };
    let walked = walk::walk(opened.as_fd(), &mut visit, &mut |_| {});
    walked.map_err(failed("read", directory))
}
