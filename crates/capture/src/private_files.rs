//! Counts what stays in a capture and is not proposed.

use std::os::fd::AsFd as _;

use staging_core::escape_bytes;

use crate::error::{Result, failed};
use crate::files::open;
use crate::held_git;
use crate::layer::Layer;
use crate::paths::is_git;
use crate::rules::Private;
use crate::session::SessionCapture;
use crate::stat::Kind;
use crate::walk::stat_beneath;

/// What stays in the capture and is not proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateFiles {
    /// How many ignored files were written or removed.
    pub files: u64,
    /// The bytes of those that were written.
    pub bytes: u64,
    /// Ignored files that are in the workspace too and that were changed or removed, at most ten.
    pub changed: Vec<String>,
    /// Whether something was written in a directory of git.
    pub git: bool,
}

impl SessionCapture<'_> {
    /// Counts what stays in the capture.
    ///
    /// # Errors
    /// An error of the state directory or the workspace.
    pub fn private_files(&self) -> Result<PrivateFiles> {
        let mut rules = Private::new(self.read("rules")?.unwrap_or_default());
        let layer = Layer::of(&self.dir)?;
        let root = open(&self.layer.options().workspace)?;
        let mut found = PrivateFiles::default();
        for (path, entry) in layer.entries(&mut |_, _| false)? {
            let kind = entry.stat.kind;
            if kind == Kind::Directory || !rules.is_private(&path, kind) {
                continue;
            }
            if is_git(&path) {
                found.git = true;
                continue;
            }
            found.files += 1;
            found.bytes += if kind == Kind::File { entry.stat.size } else { 0 };
            if found.changed.len() < 10 {
                let lower = stat_beneath(root.as_fd(), &path);
                let lower = lower.map_err(failed("read", &self.layer.options().workspace))?;
                found.changed.extend(lower.map(|_| escape_bytes(&path)));
            }
        }
        for layer in held_git::read(&self.dir)? {
            let upper = layer.upper(&self.dir);
            let mut entries = std::fs::read_dir(&upper).map_err(failed("read", &upper))?;
            found.git |= entries.next().is_some();
        }
        Ok(found)
    }
}
