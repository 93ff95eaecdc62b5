//! Trying what is pending: a view of the workspace with patches applied, whose writes are thrown away.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd as _;

use staging_core::{CaptureDir, DiffStagingLayer, Patch, escape_bytes};

use crate::bytes::Bytes;
use crate::changes::EntryKind;
use crate::error::{CaptureError, Result, failed};
use crate::held_git;
use crate::import::read_beneath;
use crate::last_view;
use crate::paths::is_git;
use crate::plan::HeldGit;
use crate::processes::Identity;
use crate::rules::{Private, Rules};
use crate::session::{copy_workspace, create, open};
use crate::upper::read_upper;
use crate::walk::{self, Visit, stat_beneath};

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
    /// Prepares a view of the workspace with these patches applied. Calls `waiting` before it waits for
    /// the trial of another process. `general` and `tracked` are as in [`Rules`].
    ///
    /// # Errors
    /// [`CaptureError::Live`] while processes of a trial that was killed still run; else an error of
    /// the store, the state directory or the workspace.
    pub fn prepare(
        layer: &'l DiffStagingLayer,
        patches: &[Patch],
        general: Vec<Bytes>,
        tracked: BTreeSet<Bytes>,
        waiting: impl FnOnce(),
    ) -> Result<Self> {
        let dir = layer.trial_dir();
        create(&dir, layer)?;
        let lock = match dir.try_lock()? {
            Some(lock) => lock,
            None => {
                waiting();
                dir.lock()?
            }
        };
        let processes = last_view::processes(&dir, &layer.options().workspace)?;
        if !processes.is_empty() {
            return Err(CaptureError::Live { processes });
        }
        let trial =
            Self { layer, dir, rules: Rules { general, tracked, ..Rules::default() }, _lock: lock };
        // A trial that was killed has dropped nothing.
        trial.drop_outputs()?;
        trial.dir.clean_work()?;
        layer.write_layer(patches, &trial.dir, &|_, _| None)?;
        Ok(trial)
    }

    /// Makes or renews the copy of the workspace that its views show from now on, and returns what
    /// cannot be read.
    ///
    /// # Errors
    /// An error of the workspace or the state directory, such as a full disk.
    pub fn copy_workspace(&self) -> Result<Vec<String>> {
        copy_workspace(&self.dir, &self.layer.options().workspace)
    }

    /// Makes layers for git's directories outside of the workspace, for [`Plan::git`](crate::Plan::git).
    ///
    /// # Errors
    /// An error of the state directory or the workspace.
    pub fn hold_git(&self) -> Result<Vec<HeldGit>> {
        let workspace = &self.layer.options().workspace;
        let root = open(workspace)?;
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut private = Private::collecting(self.rules.clone(), &read);
        let mut dot_git = Vec::new();
        let mut visit = |reached: walk::Reached<'_>| {
            if reached.name == c".git" {
                dot_git.push(Box::from(reached.path));
            }
            let is_private = private.is_private(reached.path, reached.kind);
            Ok(if is_private { Visit::Skip } else { Visit::Enter })
        };
        let walked = walk::walk(root.as_fd(), &mut visit, &mut |_| {});
        walked.map_err(failed("read", workspace))?;
        held_git::hold(&self.dir, workspace, &dot_git)
    }

    /// Records the view that was made, before the command runs in it.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn record(&self, identity: Identity) -> Result<()> {
        last_view::record(&self.dir, identity)
    }

    /// Records that all processes of the view have ended.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn record_end(&self) -> Result<()> {
        last_view::record_end(&self.dir)
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
    pub fn drop_outputs(&self) -> Result<Vec<String>> {
        let (upper_dir, workspace) = (self.dir.upper(), &self.layer.options().workspace);
        let (root, upper) = (open(workspace)?, open(&upper_dir)?);
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut private = Private::collecting(self.rules.clone(), &read);
        let mut is_kept = |path: &[u8], kind| !is_git(path) && private.is_private(path, kind);
        let entries =
            read_upper(upper.as_fd(), &mut is_kept).map_err(failed("read", &upper_dir))?;
        // What is in a directory comes before it. A merged directory stays while it holds what is kept,
        // with the mode that it has in the workspace.
        let is_merged = |kind: EntryKind| kind == EntryKind::Directory { opaque: false };
        let (merged, dropped): (Vec<_>, Vec<_>) =
            entries.iter().rev().partition(|(_, entry)| is_merged(entry.kind));
        self.dir.drop_entries(dropped.iter().map(|(path, _)| &***path))?;
        let mode =
            |path: &[u8]| stat_beneath(root.as_fd(), path).ok()?.map(|stat| stat.mode.into());
        held_git::drop_layers(&self.dir)?;
        self.dir.drop_directories(merged.iter().map(|(path, _)| (&***path, mode(path))))?;
        let shown = dropped.iter().rev().filter(|(path, _)| !path.starts_with(b".git/"));
        Ok(shown.map(|(path, _)| escape_bytes(path)).collect())
    }
}
