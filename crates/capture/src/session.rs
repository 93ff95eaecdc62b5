//! The capture of a session: what is kept between its views, and the import of what commands wrote.
//!
//! The directory of a capture holds, beside the kernel's `upper/` and `work/`: `seen`, the
//! [`Snapshot`] of what the view shows; `rules`, the [`Rules`]; `layer/` and `pending`, what was pending
//! before; `view`, the last view; `imported`, what the last import of each path has read; `renewed`, what
//! the user has changed since; `leaving`, what leaves the upper directory before the next view; `ignored`
//! and `begun`, what is known of ignored files; `taken`, what was read of those that were proposed by name;
//! `git` and `git-…/`, what was written to git's directories outside of the workspace; `size`, what commands
//! have written, when it was measured; `copy/` and `copied`, where a view shows a copy of the workspace,
//! that copy and what it was made from. Where commands work in a copy instead,
//! [`made`](crate::made) says what else is there. What tells what was written is recorded before the command
//! starts, so that any process can import what a killed one has left.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use serde::{Deserialize, Serialize};
use staging_core::{
    CaptureDir, DiffStagingLayer, Gone, Imported, RelPath, SessionId, SessionState, escape_bytes,
};

use crate::bases::{Modes, ViewBases};
use crate::changes::{Change, Changes, EntryKind};
use crate::error::{CaptureError, Result, failed};
use crate::files::{open, read_json, write_json};
use crate::hidden::Hidden;
use crate::import::{Found, Importer, LastImport, Wanted, clocks, sorted};
use crate::last_view;
use crate::layer::Layer;
use crate::leaving::{self, ImportRead, Leaving};
use crate::made;
use crate::mirror::{Changed, mirror};
use crate::pending::{self, ShownPatches};
use crate::processes::{Identity, Process};
use crate::real_tree::{self, Difference};
use crate::renew::{self, Renewed};
use crate::rules::{Private, Rules};
use crate::snapshot::Snapshot;
use crate::stat::Timestamp;
use crate::survey::now;
use crate::tree::Entries;
use crate::upper_read::UpperRead;
use crate::walk::{self, stat_beneath};
use crate::working_copy::{self, OnTop};

/// What an import has found.
#[derive(Debug, Default)]
pub struct Report {
    /// What was staged, refused, withheld, and is stale.
    pub imported: Imported,
    /// What cannot be proposed, by its path, and why.
    pub not_proposed: Vec<(String, &'static str)>,
    /// Files that the user has changed while the command ran, and the command after that: what the
    /// command had read before may be in its version.
    pub edited: Vec<RelPath>,
    /// Files that are still being written; a later import has them.
    pub unsettled: Vec<RelPath>,
}

/// The capture of a session.
pub struct SessionCapture<'l> {
    pub(crate) layer: &'l DiffStagingLayer,
    pub(crate) session: SessionId,
    pub(crate) dir: CaptureDir,
}

/// Imports the captures of all sessions. A capture goes with its session when that was closed, and to
/// the open session of its label when it has expired; both wait for the processes of the capture's
/// view.
///
/// # Errors
/// When the state directory cannot be read. The error of one session is its answer.
pub fn import_all(layer: &DiffStagingLayer) -> Result<Vec<Result<Report>>> {
    let each = layer.captures()?.into_iter().map(|session| {
        let capture = SessionCapture::of(layer, session);
        let found = layer.find_session(&session.to_string())?;
        match found.state {
            SessionState::Open => capture.import(),
            SessionState::Closed => capture.remove_ended().map(|_| Report::default()),
            // Only what a copy had is recorded there.
            SessionState::Expired if capture.read::<Rules>("rules")?.is_none() => {
                capture.remove_ended().map(|_| Report::default())
            }
            SessionState::Expired => capture.move_to_label(&found.label),
        }
    });
    Ok(each.collect())
}

impl<'l> SessionCapture<'l> {
    /// The capture of this session; nothing is read or created.
    #[must_use]
    pub fn of(layer: &'l DiffStagingLayer, session: SessionId) -> Self {
        Self { layer, session, dir: layer.capture_dir(session) }
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &CaptureDir {
        &self.dir
    }

    /// Makes or renews the copy of the workspace that the session's views show from now on, and
    /// returns what cannot be read. It follows [`prepare`](Self::prepare), whose snapshot proves what
    /// is copied.
    ///
    /// # Errors
    /// An error of the workspace or the state directory. The next call goes on from there; on a full
    /// disk the copy is removed.
    pub fn copy_workspace(&self) -> Result<Vec<String>> {
        let _lock = self.dir.lock()?;
        copy_workspace(&self.dir, &self.layer.options().workspace)
    }

    /// Makes or renews the copy in which the session's commands work from now on, and returns what cannot
    /// be read. It follows [`prepare`](Self::prepare), whose snapshot proves what is copied. What commands
    /// have changed and is not staged stays; everything else is made what it is in the workspace with the
    /// pending patches applied.
    ///
    /// # Errors
    /// [`CaptureError::Layered`] if an overlay holds what earlier commands have written;
    /// [`CaptureError::InUse`]; an error of the workspace or the state directory. The next call goes on
    /// from there; on a full disk a copy in which no command has worked is removed.
    pub fn renew_working_copy(&self) -> Result<Vec<String>> {
        let _lock = self.dir.lock()?;
        if !Layer::upper(&self.dir)?.entries(&mut |_, _| false)?.is_empty() {
            return Err(CaptureError::Layered);
        }
        self.dir.remove_copy()?;
        let leaving = self.read::<Option<Leaving>>(leaving::FILE)?.flatten();
        let (kept, layer) = (self.kept(leaving.as_ref())?, self.dir.layer());
        let workspace = &self.layer.options().workspace;
        let mut keeps = |path: &[u8], _| kept.has(path);
        let unreadable =
            working_copy::renew(&self.dir, workspace, &mut keeps, &OnTop::BelowKept(&layer))?;
        // From here on, what is in the copy is imported.
        self.write(leaving::FILE, &None::<Leaving>)?;
        Ok(unreadable)
    }

    /// What in the workspace itself is not what it was when the working copy was made, by its path.
    ///
    /// # Errors
    /// An error of the workspace or the state directory.
    pub fn differences(&self) -> Result<Vec<(String, Difference)>> {
        real_tree::differences(&self.dir, &self.layer.options().workspace)
    }

    /// Stages what the session's commands have changed since the last import. Does nothing for a
    /// session without a capture.
    ///
    /// # Errors
    /// An error of the store, the state directory or the workspace. Nothing is staged then.
    pub fn import(&self) -> Result<Report> {
        if !self.dir.exists() {
            return Ok(Report::default());
        }
        let _lock = self.dir.lock()?;
        Ok(self.import_locked()?.0)
    }

    /// Removes the capture, unless processes of its last view still run; returns whether it did.
    ///
    /// # Errors
    /// An error of the state directory.
    pub fn remove_ended(&self) -> Result<bool> {
        let is_over = self.processes()?.is_empty();
        if is_over {
            self.dir.remove()?;
        }
        Ok(is_over)
    }

    /// The processes of the last view that still run.
    ///
    /// # Errors
    /// An error of the state directory, or of reading `/proc`.
    pub fn processes(&self) -> Result<Vec<Process>> {
        last_view::processes(&self.dir, &self.layer.options().workspace)
    }

    /// Hands the capture to the open session of a label, and imports it there.
    fn move_to_label(&self, label: &str) -> Result<Report> {
        if !self.processes()?.is_empty() {
            return Ok(Report::default());
        }
        let next = SessionCapture::of(self.layer, self.layer.open_session(label)?.id);
        if !self.dir.move_to(&next.dir)? {
            let is_copy = self.dir.has_working_copy();
            let path = if is_copy { self.dir.working_copy() } else { self.dir.upper() };
            let path = escape_bytes(path.as_os_str().as_encoded_bytes());
            return Err(CaptureError::Expired { session: self.session, path });
        }
        next.import()
    }

    /// Imports, and returns what was found in the upper directory or the working copy; nothing where no view was
    /// ever prepared, or where a process was killed that has prepared one: no command has run since the last
    /// import.
    pub(crate) fn import_locked(&self) -> Result<(Report, Option<ImportRead>)> {
        let Some(rules) = self.read::<Rules>("rules")? else { return Ok(Default::default()) };
        if self.read::<Option<Leaving>>(leaving::FILE)?.flatten().is_some() {
            return Ok(Default::default());
        }
        let mut last: LastImport = self.read("imported")?.unwrap_or_default();
        // What the upper directory holds, and what that changes.
        let read_at = now();
        let workspace = &self.layer.options().workspace;
        let (root, upper) = (open(workspace)?, Layer::of(&self.dir)?);
        let is_empty = upper.is_empty()?;
        // What is seen is long, and only what commands have written is compared with it.
        let seen = if is_empty { made::nothing() } else { self.seen()? };
        let mut private = Private::new(rules);
        // What is written from here on is found by the next import, which compares it.
        let mut read = match is_empty {
            true => UpperRead::default(),
            false => UpperRead::read(&upper, &mut private, &seen)?,
        };
        let shown: ShownPatches = self.read(pending::FILE)?.unwrap_or_default();
        let implied = shown.iter().filter(|(_, shown)| shown.state.is_none());
        read.entries
            .extend(upper.entered(implied.map(|(path, _)| path.as_bytes()), &read.entries)?);
        let mut changed = Changes::new(&read.entries, &seen);
        add_hidden(&mut changed, &read.entries, &last, root.as_fd())?;
        let implied = shown.iter().filter(|(_, shown)| shown.state.is_none());
        changed.add_left(implied.map(|(path, _)| path.as_bytes()), &read.entries, &seen);
        let (changes, mut not_proposed) = sorted(changed.clone());
        // What of it has changed since the last import, with the proof of each change.
        let (view, mut hidden) = (self.shown()?, Hidden::read(&self.dir)?);
        if !private.has_proposed() {
            // No private path is proposed.
            hidden.ignored.get_or_insert_with(|| Snapshot::new(Timestamp::default(), []));
        }
        let bases = ViewBases {
            seen: &seen,
            hidden: &hidden,
            root: root.as_fd(),
            view: view.as_ref().map(|view| view.as_fd()),
            clocks: clocks(&root, &upper.root),
        };
        let mut importer = Importer {
            layer: self.layer,
            bases: &bases,
            last: &last,
            shown: &shown,
            root: root.as_fd(),
            upper: upper.root.as_fd(),
            modes: Modes::Whole,
            wanted: Wanted::Changed,
            read_at,
            found: Found::default(),
        };
        importer.collect(&changes)?;
        let mut found = importer.found;
        not_proposed.append(&mut found.not_proposed);
        let present: BTreeSet<&RelPath> = changes.iter().map(|(path, _)| path).collect();
        let gone: BTreeSet<RelPath> =
            last.keys().filter(|path| !present.contains(path)).cloned().collect();
        let mut report = self.stage("imported", found, &mut last, &gone)?;
        report.not_proposed = not_proposed;
        Ok((report, Some(ImportRead { read, changes: changed })))
    }

    /// Stages what an import has found as one transaction, withdraws what it has staged before at the
    /// paths that are `gone`, and records both in the file `name`.
    pub(crate) fn stage(
        &self,
        name: &str,
        mut found: Found,
        last: &mut LastImport,
        gone: &BTreeSet<RelPath>,
    ) -> Result<Report> {
        let withdrawn = gone.iter().filter_map(|path| {
            let last = last.get(path)?;
            Some(Gone { path: path.clone(), staged: last.as_ref().map(|last| last.state) })
        });
        let withdrawn: Vec<Gone> = withdrawn.collect();
        let unsettled = std::mem::take(&mut found.unsettled);
        let edited = std::mem::take(&mut found.edited);
        let mut report = Report { unsettled, edited, ..Report::default() };
        // A path that is recorded in vain is withdrawn in vain; one that is missing would stay pending
        // for ever.
        if found.changed.keys().any(|path| !last.contains_key(path)) {
            for path in found.changed.keys() {
                last.entry(path.clone()).or_insert(None);
            }
            self.write(name, last)?;
        }
        if !found.items.is_empty() || !withdrawn.is_empty() {
            report.imported = self.layer.import(self.session, &found.items, &withdrawn)?;
        }
        if !found.changed.is_empty() || !withdrawn.is_empty() {
            found.record(last, &report.imported);
            last.retain(|path, _| !gone.contains(path));
            self.write(name, last)?;
        }
        Ok(report)
    }

    /// The workspace as the live view shows it, where that proves something: a view of a copy has the
    /// inodes of the copy.
    pub(crate) fn shown(&self) -> Result<Option<OwnedFd>> {
        let is_copied = self.dir.has_copy() || self.dir.has_working_copy();
        let view = last_view::live(&self.dir)?.filter(|_| !is_copied);
        Ok(view.and_then(|view| view_root(&view, &self.layer.options().workspace)))
    }

    /// What the workspace was when the command began, or was later before the command changed it. A
    /// snapshot that is lost or damaged proves nothing.
    pub(crate) fn seen(&self) -> Result<Snapshot> {
        let seen = self.dir.read("seen")?.and_then(|bytes| Snapshot::decode(&bytes).ok());
        let mut seen = seen.unwrap_or_else(|| Snapshot::new(Timestamp::default(), []));
        for (path, stat) in self.read::<Renewed>(renew::FILE)?.unwrap_or_default() {
            seen.renew(path.as_bytes(), stat);
        }
        Ok(seen)
    }

    pub(crate) fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>> {
        read_json(&self.dir, name)
    }

    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        write_json(&self.dir, name, value)
    }
}

/// Creates the directory of a capture or a trial, whose upper directory has the mode of the
/// workspace's root. Returns the root.
pub(crate) fn create(dir: &CaptureDir, layer: &DiffStagingLayer) -> Result<OwnedFd> {
    let workspace = &layer.options().workspace;
    let root = open(workspace)?;
    let found = walk::stat_of(root.as_fd()).map_err(failed("read", workspace))?;
    dir.create(found.mode.into())?;
    Ok(root)
}

/// Makes or renews a copy of the workspace. The caller holds the lock.
pub(crate) fn copy_workspace(dir: &CaptureDir, workspace: &Path) -> Result<Vec<String>> {
    dir.create_copy()?;
    let earlier = dir.read("copied")?.and_then(|bytes| Snapshot::decode(&bytes).ok());
    let earlier = earlier.unwrap_or_else(|| Snapshot::new(Timestamp::default(), []));
    let (root, copy) = (open(workspace)?, open(&dir.copy())?);
    let mirrored = mirror(root.as_fd(), copy.as_fd(), &earlier, &Changed::default());
    if matches!(&mirrored, Err(error) if error.kind() == io::ErrorKind::StorageFull) {
        // Half of it is of no use, and the disk is the user's.
        dir.remove_copy()?;
    }
    let mirrored = mirrored.map_err(failed("copy", workspace))?;
    dir.write("copied", &mirrored.copied.encode())?;
    Ok(mirrored.unreadable.iter().map(|path| escape_bytes(path)).collect())
}

/// Adds the removal of what was staged and applied while the view lives, and has gone with a directory: it
/// is in the workspace, and something in the upper directory hides it. The directory goes with it.
fn add_hidden(
    changes: &mut Changes,
    entries: &Entries,
    last: &LastImport,
    root: BorrowedFd<'_>,
) -> Result<()> {
    let hides = |kind: EntryKind| {
        !matches!(kind, EntryKind::Directory { opaque: false } | EntryKind::Unreadable)
    };
    let above = |path: &RelPath| std::iter::successors(path.parent(), RelPath::parent);
    let is_hidden = |path: &RelPath| {
        above(path)
            .any(|above| entries.get(above.as_bytes()).is_some_and(|found| hides(found.kind)))
    };
    for path in last.keys().filter(|path| is_hidden(path)) {
        let lower = stat_beneath(root, path.as_bytes());
        let is_there = lower.map_err(failed("read", &path.to_path_buf()))?.is_some();
        if !is_there || changes.entries.contains_key(path.as_bytes()) {
            continue;
        }
        for above in above(path) {
            if changes.entries.get(above.as_bytes()) == Some(&Change::Removed) {
                changes.entries.remove(above.as_bytes());
            }
        }
        changes.entries.insert(path.as_bytes().into(), Change::Removed);
    }
    Ok(())
}

/// The workspace as a view shows it, whose keeper lives.
pub(crate) fn view_root(identity: &Identity, workspace: &Path) -> Option<OwnedFd> {
    let below = workspace.strip_prefix("/").ok()?;
    let path = Path::new("/proc").join(identity.keeper.to_string()).join("root").join(below);
    open(&path).ok()
}
