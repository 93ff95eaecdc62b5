//! Trying what is pending: a view of the workspace with patches applied, whose writes are thrown away.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd as _;

use staging_core::{CaptureDir, DiffStagingLayer, Patch, escape_bytes};

use crate::bytes::Bytes;
use crate::changes::{Entry, EntryKind};
use crate::error::{CaptureError, Result};
use crate::files::open;
use crate::held_git;
use crate::import::read_beneath;
use crate::last_view;
use crate::layer::Layer;
use crate::paths::is_git;
use crate::plan::HeldGit;
use crate::processes::Identity;
use crate::real_tree::{self, Difference};
use crate::rules::{Private, Rules};
use crate::session::{copy_workspace, create};
use crate::stat::Kind;
use crate::walk::stat_beneath;
use crate::working_copy::{self, OnTop};

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
        let dot_git = held_git::found_in(workspace, &mut private)?;
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

    /// Makes or renews the copy in which the command works, with the patches applied, and returns what
    /// cannot be read. What earlier commands have written there is dropped unless it is ignored.
    ///
    /// # Errors
    /// An error of the workspace or the state directory, such as a full disk.
    pub fn renew_working_copy(&self) -> Result<Vec<String>> {
        let (workspace, layer) = (&self.layer.options().workspace, self.dir.layer());
        let root = open(workspace)?;
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut outputs = Outputs(Private::collecting(self.rules.clone(), &read));
        let mut keeps = |path: &[u8], kind| outputs.is_kept(path, kind);
        working_copy::renew(&self.dir, workspace, &mut keeps, &OnTop::Always(&layer))
    }

    /// What in the workspace itself is not what it was when the working copy was made, by its path.
    ///
    /// # Errors
    /// An error of the workspace or the state directory.
    pub fn differences(&self) -> Result<Vec<(String, Difference)>> {
        real_tree::differences(&self.dir, &self.layer.options().workspace)
    }

    /// What the command has written in the working copy that is not ignored: the next trial drops it.
    ///
    /// # Errors
    /// An error of the state directory or the workspace.
    pub fn outputs_of_working_copy(&self) -> Result<Vec<String>> {
        let root = open(&self.layer.options().workspace)?;
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut outputs = Outputs(Private::collecting(self.rules.clone(), &read));
        let layer = Layer::working_copy(&self.dir)?;
        let entries = layer.entries(&mut |path, kind| outputs.is_kept(path, kind))?;
        Ok(shown(entries.iter()))
    }

    /// Drops what the command has written in an overlay that is not ignored, and returns its paths. The
    /// view must have ended.
    ///
    /// # Errors
    /// An error of the state directory or the workspace.
    pub fn drop_outputs(&self) -> Result<Vec<String>> {
        let root = open(&self.layer.options().workspace)?;
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut outputs = Outputs(Private::collecting(self.rules.clone(), &read));
        let upper = Layer::upper(&self.dir)?;
        let entries = upper.entries(&mut |path, kind| outputs.is_kept(path, kind))?;
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
        Ok(shown(dropped.into_iter().rev()))
    }
}

/// Decides what of a command's writes stays for the next trial: ignored files, and nothing of git's.
struct Outputs<'f>(Private<'f>);

impl Outputs<'_> {
    fn is_kept(&mut self, path: &[u8], kind: Kind) -> bool {
        !is_git(path) && self.0.is_private(path, kind)
    }
}

/// The paths that people are shown.
fn shown<'e>(entries: impl Iterator<Item = (&'e Box<[u8]>, &'e Entry)>) -> Vec<String> {
    let shown = entries.filter(|(path, _)| !path.starts_with(b".git/"));
    shown.map(|(path, _)| escape_bytes(path)).collect()
}
