//! Trying what is pending: a view of the workspace with patches applied, whose writes are thrown away.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd as _;

use staging_core::{CaptureDir, DiffStagingLayer, Patch, escape_bytes};

use crate::bytes::Bytes;
use crate::changes::EntryKind;
use crate::rules::{Private, Rules};
use crate::session::{CaptureError, failed, open, read_beneath};
use crate::upper::read_upper;
use crate::walk;

/// The view of a trial, for one command at a time of a workspace.
///
/// Ignored files that a command writes, as build outputs are, stay for the next trial; everything else
/// that it writes is dropped.
pub struct Trial<'l> {
    layer: &'l DiffStagingLayer,
    dir: CaptureDir,
    rules: Rules,
    _lock: File,
}

impl<'l> Trial<'l> {
    /// Prepares a view of the workspace with these patches applied. Waits for the trial of another
    /// process. `general` and `tracked` are as in [`Rules`].
    ///
    /// # Errors
    /// An error of the store, the state directory or the workspace.
    pub fn prepare(
        layer: &'l DiffStagingLayer,
        patches: &[Patch],
        general: Vec<Bytes>,
        tracked: BTreeSet<Bytes>,
    ) -> Result<Self, CaptureError> {
        let dir = layer.trial_dir();
        let workspace = &layer.options().workspace;
        let root = open(workspace)?;
        let mode = walk::stat(root.as_fd(), c".").map_err(failed("read", workspace))?;
        dir.create(mode.map_or(0o700, |(stat, _)| stat.mode.into()))?;
        let lock = dir.lock()?;
        let trial =
            Self { layer, dir, rules: Rules { general, tracked, ..Rules::default() }, _lock: lock };
        // A trial that was killed has dropped nothing.
        trial.drop_outputs()?;
        trial.dir.clean_work()?;
        layer.write_layer(patches, &trial.dir)?;
        Ok(trial)
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &CaptureDir {
        &self.dir
    }

    /// Drops what the command has written that is not ignored, and returns its paths. The view must
    /// have ended.
    ///
    /// # Errors
    /// An error of the state directory or the workspace.
    pub fn drop_outputs(&self) -> Result<Vec<String>, CaptureError> {
        let (upper_dir, workspace) = (self.dir.upper(), &self.layer.options().workspace);
        let (root, upper) = (open(workspace)?, open(&upper_dir)?);
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut private = Private::collecting(self.rules.clone(), &read);
        let mut is_kept = |path: &[u8], kind| {
            let is_git = path.split(|byte| *byte == b'/').any(|name| name == b".git");
            !is_git && private.is_private(path, kind)
        };
        let entries =
            read_upper(upper.as_fd(), &mut is_kept).map_err(failed("read", &upper_dir))?;
        // A merged directory may hold ignored files, and changes nothing by itself.
        let is_dropped = |kind: EntryKind| kind != EntryKind::Directory { opaque: false };
        let dropped: Vec<_> =
            entries.into_iter().filter(|(_, entry)| is_dropped(entry.kind)).collect();
        // What is in a directory comes before it.
        self.dir.drop_entries(dropped.iter().rev().map(|(path, _)| &**path))?;
        let shown = dropped.iter().filter(|(path, _)| !path.starts_with(b".git/"));
        Ok(shown.map(|(path, _)| escape_bytes(path)).collect())
    }
}
