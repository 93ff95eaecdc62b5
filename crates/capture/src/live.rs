//! What is done for a session's capture while its view lives: it is recorded, so that others can join it
//! and find its processes, and it is kept up to date with what the user changes.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

use crate::error::{Result, failed};
use crate::files::open;
use crate::last_view;
use crate::processes::{Identity, Process};
use crate::renew::{self, Again, Renewal, Renewed};
use crate::session::{SessionCapture, view_root};
use crate::walk::stat_beneath;
use crate::watch::Watch;

impl SessionCapture<'_> {
    /// The view in which another command of the session runs, for [`View::join`](crate::View::join).
    ///
    /// # Errors
    /// An error of the state directory, or of reading `/proc`.
    pub fn live_view(&self) -> Result<Option<Identity>> {
        last_view::live(&self.dir)
    }

    /// Watches what the user changes in the workspace from now on.
    ///
    /// # Errors
    /// An error of the state directory, or the system has no watch left at all.
    pub fn watch(&self) -> Result<Watch> {
        let (seen, rules) = (self.seen()?, self.read("rules")?.unwrap_or_default());
        let workspace = &self.layer.options().workspace;
        Watch::start(workspace, &seen, rules).map_err(failed("watch", workspace))
    }

    /// Records the view that was made or joined, before a command runs in it.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn record(&self, identity: Identity) -> Result<()> {
        let _lock = self.dir.lock()?;
        last_view::record(&self.dir, identity)
    }

    /// Records that a keeper has ended what it started. The view is over unless others have joined it.
    ///
    /// # Errors
    /// An error of the state directory, or of reading `/proc`.
    pub fn record_end(&self, identity: Identity) -> Result<()> {
        let _lock = self.dir.lock()?;
        let is_other = |process: &Process| process.id != identity.keeper;
        if self.processes()?.iter().any(is_other) {
            return Ok(());
        }
        last_view::record_end(&self.dir)
    }

    /// Whether the session's commands have written one of these paths. An [`import`](Self::import) has
    /// to come before the view is [refreshed](crate::View::refresh) then: the view forgets what their
    /// copies were made from.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn has_written(&self, paths: &BTreeSet<Vec<u8>>) -> Result<bool> {
        let upper = open(&self.dir.upper())?;
        for path in paths {
            let found = stat_beneath(upper.as_fd(), path);
            if found.map_err(failed("read", &self.dir.upper()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes note of what the view shows of paths that the user may have changed. The view should have
    /// been [refreshed](crate::View::refresh) just before.
    ///
    /// # Errors
    /// An error of the state directory or the workspace. Changes of these paths may be stale then.
    pub fn renew(&self, view: Identity, changed: BTreeSet<Vec<u8>>) -> Result<Again> {
        let Some(_lock) = self.dir.try_lock()? else {
            return Ok(Again { soon: changed, ..Again::default() });
        };
        let workspace = &self.layer.options().workspace;
        let Some(shown) = view_root(&view, workspace) else { return Ok(Again::default()) };
        let (root, upper) = (open(workspace)?, open(&self.dir.upper())?);
        let mut renewal = Renewal {
            root: root.as_fd(),
            upper: upper.as_fd(),
            shown: shown.as_fd(),
            renewed: Renewed::new(),
            again: Again::default(),
        };
        renewal.collect(&changed, || self.seen())?;
        let Renewal { renewed, again, .. } = renewal;
        if !renewed.is_empty() {
            let mut all: Renewed = self.read(renew::FILE)?.unwrap_or_default();
            all.extend(renewed);
            self.write(renew::FILE, &all)?;
        }
        Ok(again)
    }
}
