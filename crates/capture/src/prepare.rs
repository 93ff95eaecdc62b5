//! Makes a capture ready for a view: what is recorded of the workspace before a command starts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd as _;

use crate::bytes::Bytes;
use crate::error::{CaptureError, Result, failed};
use crate::held_git;
use crate::hidden::{self, Hidden, Topmost};
use crate::import::read_beneath;
use crate::plan::HeldGit;
use crate::renew::{self, Renewed};
use crate::rules::{Private, Rules};
use crate::session::{SessionCapture, create, open};
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat};
use crate::survey::{Survey, survey};
use crate::walk::{self, Visit};

impl SessionCapture<'_> {
    /// Makes the capture ready for a view: imports what an earlier one has left, and records what
    /// the workspace is now. Of `wanted`, the rules of directories are collected here; what earlier
    /// commands of the session have wanted to be proposed still is.
    ///
    /// # Errors
    /// [`CaptureError::Live`] while processes of an earlier view live; else as
    /// [`import`](Self::import).
    pub fn prepare(&self, wanted: Rules) -> Result<Survey> {
        let root = create(&self.dir, self.layer)?;
        let _lock = self.dir.lock()?;
        let processes = self.processes()?;
        if !processes.is_empty() {
            return Err(CaptureError::Live { processes });
        }
        let earlier = self.import_locked()?.1;
        self.dir.clean_work()?;
        let kept = self.read::<Rules>("rules")?.map(|rules| rules.proposed).unwrap_or_default();
        let rules = Rules { proposed: united(kept, wanted.proposed), ..wanted };
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut private = Private::collecting(rules, &read);
        let mut topmost = Topmost::default();
        let unreadable = failed("read", &self.layer.options().workspace);
        let mut found = survey(root.as_fd(), &mut |path, kind| {
            if private.is_private(path, kind) {
                topmost.add(path);
            }
            private.is_left_out(path, kind)
        })
        .map_err(&unreadable)?;
        let mut hidden = topmost.read(root.as_fd(), found.snapshot.begun()).map_err(unreadable)?;
        let mut private = Private::new(private.into_rules());
        // What the session has changed was made from what lay there when it began.
        if let Some(seen) = &earlier {
            let written = self.written(&mut private)?;
            let old_hidden = Hidden::read(&self.dir)?;
            let carried = |path: &[u8]| {
                seen.carried(path).or_else(|| old_hidden.ignored.as_ref()?.carried(path))
            };
            found.snapshot = carry(&found.snapshot, &written, carried);
            hidden = carry(&hidden, &written, carried);
            // Where nothing was recorded then, nothing is known of what was there.
            if old_hidden.ignored.is_some() {
                self.dir.write(hidden::IGNORED, &hidden.encode())?;
            }
        } else {
            self.dir.write(hidden::IGNORED, &hidden.encode())?;
            self.write(hidden::BEGUN, &found.snapshot.begun())?;
        }
        if private.has_proposed() {
            let begun = found.snapshot.begun();
            let mut entries = found.snapshot.iter().map(owned).collect();
            private.drop_private(&mut entries, |stat| stat.kind, |_| false);
            found.snapshot = Snapshot::new(begun, entries);
        }
        self.write("rules", &private.into_rules())?;
        self.dir.write("seen", &found.snapshot.encode())?;
        // The new snapshot has what is in it.
        if self.dir.read(renew::FILE)?.is_some() {
            self.write(renew::FILE, &Renewed::new())?;
        }
        Ok(found)
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

    /// Every path that the session's commands have written, without what is below private ones.
    fn written(&self, private: &mut Private<'_>) -> Result<BTreeSet<Box<[u8]>>> {
        let upper = open(&self.dir.upper())?;
        let mut written = BTreeSet::new();
        let mut visit = |reached: walk::Reached<'_>| -> io::Result<Visit> {
            written.insert(Box::from(reached.path));
            let is_left_out = private.is_left_out(reached.path, reached.kind);
            Ok(if is_left_out { Visit::Skip } else { Visit::Enter })
        };
        let walked = walk::walk(upper.as_fd(), &mut visit, &mut |_| {});
        walked.map_err(failed("read", &self.dir.upper()))?;
        Ok(written)
    }
}

/// The globs of both, each once, the later ones last.
fn united(mut kept: Vec<Bytes>, wanted: Vec<Bytes>) -> Vec<Bytes> {
    kept.retain(|glob| !wanted.contains(glob));
    kept.extend(wanted);
    kept
}

/// What is there now, and of what was written what was known before.
fn carry(
    now: &Snapshot,
    written: &BTreeSet<Box<[u8]>>,
    carried: impl Fn(&[u8]) -> Option<Stat>,
) -> Snapshot {
    let new = now.iter().filter(|(path, _)| !written.contains(*path)).map(owned);
    let old = written.iter().filter_map(|path| Some((path.clone(), carried(path)?)));
    Snapshot::new(now.begun(), new.chain(old).collect::<Vec<_>>())
}

fn owned((path, stat): (&[u8], &Stat)) -> (Box<[u8]>, Stat) {
    (Box::from(path), *stat)
}

impl Private<'_> {
    /// Drops what is private from entries: directories that were entered because something in them
    /// could have been proposed, and that hold nothing. What `is_needed` accepts stays.
    pub(crate) fn drop_private<T>(
        &mut self,
        entries: &mut BTreeMap<Box<[u8]>, T>,
        kind: impl Fn(&T) -> Kind,
        is_needed: impl Fn(&[u8]) -> bool,
    ) {
        let all = entries.iter();
        let private = all.filter(|(path, entry)| self.is_private(path, kind(entry)));
        let private: Vec<_> = private.map(|(path, entry)| (path.clone(), kind(entry))).collect();
        // What is in a directory comes after it.
        for (path, kind) in private.into_iter().rev() {
            let below = [&path, &b"/"[..]].concat().into_boxed_slice();
            let next = entries.range(below.clone()..).next();
            let is_held = next.is_some_and(|(next, _)| next.starts_with(&below));
            if !(kind == Kind::Directory && is_held || is_needed(&path)) {
                entries.remove(&path);
            }
        }
    }
}
