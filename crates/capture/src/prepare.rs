//! Makes a capture ready for a view, which begins with what is pending in its session: what is known before a
//! command starts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;

use crate::bytes::Bytes;
use crate::carried::Earlier;
use crate::error::{CaptureError, Result, failed};
use crate::files::open;
use crate::held_git;
use crate::hidden::{self, Hidden, Topmost};
use crate::import::{LastImport, read_beneath};
use crate::layer::Layer;
use crate::leaving::{self, Kept, Leaving};
use crate::pending::{self, ShownPatches, shows};
use crate::plan::HeldGit;
use crate::renew::{self, Renewed};
use crate::rules::{Private, Rules};
use crate::session::{SessionCapture, create};
use crate::snapshot::Snapshot;
use crate::survey::{Survey, survey};
use crate::upper_read::UpperRead;

/// What a view of a session has to know before it is made.
#[derive(Debug)]
pub struct Beginning {
    /// The workspace. Its snapshot is what the view shows.
    pub surveyed: Survey,
    /// The directory for [`Plan::layer`](crate::Plan::layer); none if nothing is pending.
    pub layer: Option<PathBuf>,
}

/// Walks a workspace by rules, to which those of its directories are added: what is in it, and the topmost
/// entries that are ignored.
fn walk(root: BorrowedFd<'_>, rules: Rules) -> io::Result<(Survey, Snapshot, Rules)> {
    let read = |name: &[u8]| read_beneath(root, name).ok();
    let mut private = Private::collecting(rules, &read);
    let mut topmost = Topmost::default();
    let found = survey(root, &mut |path, kind| {
        // Most entries are not private: the rules are matched once for them, not twice.
        if !private.is_private(path, kind) {
            return false;
        }
        topmost.add(path);
        private.is_left_out(path, kind)
    })?;
    let ignored = topmost.read(root, found.snapshot.begun())?;
    Ok((found, ignored, private.into_rules()))
}

impl SessionCapture<'_> {
    /// Keeps other processes from making a view of the session; `None` while one of them makes its own.
    /// Until the file is closed, from before a view is looked for or prepared until it is recorded, no other
    /// process prepares one: it would replace the layer that this one's view is about to show.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn try_begin_alone(&self) -> Result<Option<File>> {
        create(&self.dir, self.layer)?;
        Ok(self.dir.try_lock_beginning()?)
    }

    /// Makes the capture ready for a view, which begins with what is pending in the session: imports what
    /// an earlier view has left, moves what is staged of it from the upper directory to a layer below, and
    /// records what the view shows. Of `wanted`, the rules of directories are collected here; what earlier
    /// commands of the session have wanted to be proposed still is.
    ///
    /// `tracked` answers with the paths of [`Rules::tracked`], and may wait for git: it is called after
    /// the workspace was walked, which then is repeated if there are such paths.
    ///
    /// # Errors
    /// [`CaptureError::Live`] while processes of an earlier view live; else as
    /// [`import`](Self::import).
    pub fn prepare(
        &self,
        wanted: Rules,
        tracked: impl FnOnce() -> BTreeSet<Bytes>,
    ) -> Result<Beginning> {
        let root = create(&self.dir, self.layer)?;
        let _lock = self.dir.lock()?;
        let processes = self.processes()?;
        if !processes.is_empty() {
            return Err(CaptureError::Live { processes });
        }
        // What is staged leaves the upper directory.
        let leaving = self.leaving(root.as_fd())?;
        self.dir.clean_work()?;
        let last: LastImport = self.read("imported")?.unwrap_or_default();
        if let Some(leaving) = &leaving {
            self.leave(leaving, &last, root.as_fd())?;
        }
        let written = self.kept(leaving.as_ref())?;
        let unstaged = leaving.map(|leaving| leaving.unstaged()).unwrap_or_default();
        // What of it is pending is in the layer below, with what others have proposed.
        let before: ShownPatches = self.read(pending::FILE)?.unwrap_or_default();
        let patches = self.layer.fresh_patches(self.session)?;
        let mut shown = self.write_pending(patches, &written, &before, &last, root.as_fd())?;
        let is_pending = !shown.is_empty();
        // What is ignored, by the workspace's own rules.
        let kept = self.read::<Rules>("rules")?;
        let (is_first, kept) = (kept.is_none(), kept.unwrap_or_default());
        let proposed = united(kept.proposed, wanted.proposed);
        let rules = Rules { proposed, patched: pending::targets(&shown), ..wanted };
        // What is not staged was made from what an earlier view has shown, and hides what this one does.
        pending::keep(&mut shown, &before, &unstaged);
        // What is in the workspace now.
        let walked = walk(root.as_fd(), rules.clone()).and_then(|walked| match tracked() {
            none if none.is_empty() => Ok(walked),
            tracked => walk(root.as_fd(), Rules { tracked, ..rules }),
        });
        let (mut found, ignored, rules) =
            walked.map_err(failed("read", &self.layer.options().workspace))?;
        let mut private = Private::new(rules);
        // What the view shows: that, the layer, and what the upper directory keeps.
        let (seen, was_hidden) = (self.seen()?, Hidden::read(&self.dir)?);
        let earlier = Earlier { seen: &seen, hidden: &was_hidden, root: root.as_fd() };
        let mut read = UpperRead::read(&Layer::of(&self.dir)?, &mut private, &seen)?;
        read.entries.retain(|path, _| written.has(path));
        let layer = self.dir.layer();
        let layered = shows(&layer, found.snapshot, &mut private)?;
        let shows = earlier.carry(layered, &read, &unstaged)?;
        found.snapshot = private.without_private(shows);
        // Nothing is known of what was ignored before, where it was not recorded then.
        if is_first || was_hidden.ignored.is_some() {
            let ignored = earlier.carry_hidden(ignored, &read, &mut private)?;
            self.dir.write(hidden::IGNORED, &ignored.encode())?;
        }
        if is_first {
            self.write(hidden::BEGUN, &found.snapshot.begun())?;
        }
        self.write(pending::FILE, &shown)?;
        self.write("rules", &private.into_rules())?;
        self.dir.write("seen", &found.snapshot.encode())?;
        // The new snapshot has what is in it.
        if self.dir.read(renew::FILE)?.is_some() {
            self.write(renew::FILE, &Renewed::new())?;
        }
        // From here on, what is in the upper directory is imported; a working copy has to be renewed first.
        if !self.dir.has_working_copy() {
            self.write(leaving::FILE, &None::<Leaving>)?;
        }
        let layer = is_pending.then_some(layer);
        Ok(Beginning { surveyed: found, layer })
    }

    /// Makes layers for git's directories outside of the workspace, for [`Plan::git`](crate::Plan::git):
    /// those of the repositories that the survey has met. What an earlier command has written to them is
    /// there again.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn hold_git(&self, surveyed: &Survey) -> Result<Vec<HeldGit>> {
        let _lock = self.dir.lock()?;
        held_git::hold(&self.dir, &self.layer.options().workspace, &surveyed.dot_git)
    }

    /// Git's directories outside of the workspace, of the repositories that are in it now.
    ///
    /// # Errors
    /// An error of the state directory or the workspace.
    pub fn git_outside(&self) -> Result<Vec<PathBuf>> {
        let mut private = Private::new(self.read("rules")?.unwrap_or_default());
        held_git::outside(&self.layer.options().workspace, &mut private)
    }

    /// What leaves the upper directory: of what an import finds there now, or what a process was killed with
    /// that has prepared a view. None where no view was ever prepared.
    fn leaving(&self, root: BorrowedFd<'_>) -> Result<Option<Leaving>> {
        if let Some(begun) = self.read::<Option<Leaving>>(leaving::FILE)?.flatten() {
            return Ok(Some(begun));
        }
        let Some(read) = self.import_locked()?.1 else { return Ok(None) };
        let rules = self.read("rules")?.unwrap_or_default();
        let last = self.read("imported")?.unwrap_or_default();
        let planned = Leaving::plan(&read, &last, root, rules);
        let planned = planned.map_err(failed("read", &self.layer.options().workspace))?;
        let is_copy = self.dir.has_working_copy();
        Ok(Some(if is_copy { planned.of_working_copy() } else { planned }))
    }

    /// What stays of what commands have written.
    pub(crate) fn kept(&self, leaving: Option<&Leaving>) -> Result<Kept> {
        Ok(match leaving.filter(|_| self.dir.has_working_copy()) {
            Some(leaving) => leaving.kept_of(&Layer::of(&self.dir)?.entries(&mut |_, _| false)?),
            // What does not stay has left.
            None => Kept::default(),
        })
    }

    /// Lets what is staged leave the upper directory, and forgets its import. Nothing is imported before
    /// the next view is recorded.
    ///
    /// # Durability
    /// What leaves is in the store after a power cut.
    fn leave(&self, leaving: &Leaving, last: &LastImport, root: BorrowedFd<'_>) -> Result<()> {
        if !leaving.is_empty() {
            // Proposals are not synced when they are staged, and these may be older than the last second.
            let path = self.dir.path();
            let synced = rustix::fs::syncfs(open(path)?).map_err(std::io::Error::from);
            synced.map_err(failed("sync the file system of", path))?;
        }
        self.write(leaving::FILE, leaving)?;
        if !self.dir.has_working_copy() {
            leaving.carry_out(&self.dir, root)?;
        }
        let stays = last.iter().filter(|(path, _)| leaving.keeps(path));
        let stays: LastImport = stays.map(|(path, last)| (path.clone(), last.clone())).collect();
        self.write("imported", &stays)
    }
}

/// The globs of both, each once, the later ones last.
fn united(mut kept: Vec<Bytes>, wanted: Vec<Bytes>) -> Vec<Bytes> {
    kept.retain(|glob| !wanted.contains(glob));
    kept.extend(wanted);
    kept
}
