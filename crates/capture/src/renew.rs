//! Takes note of what the user changes while a command runs, once the view shows it.
//!
//! A command that replaces a file leaves nothing by which one could tell which version it has seen.
//! So the snapshot is kept up to date: a file that the command has not changed yet, and that the view
//! shows as it is in the workspace now, is what the command's next change of it is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use staging_core::RelPath;

use crate::error::{Result, failed};
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, TICK_NANOS};
use crate::survey::now;
use crate::walk::stat_beneath;

/// The file of a capture that holds [`Renewed`].
pub(crate) const FILE: &str = "renewed";

/// Entries that replace those of the snapshot; none where nothing is.
pub(crate) type Renewed = BTreeMap<RelPath, Option<Stat>>;

/// What is to be compared again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// Paths that changed just now, or that could not be compared: soon.
    pub soon: BTreeSet<Vec<u8>>,
    /// Paths of which the view shows an earlier version, because a process uses it: after the next
    /// change.
    pub held: BTreeSet<Vec<u8>>,
}

/// Compares what the view shows with what is in the workspace.
pub(crate) struct Renewal<'r> {
    pub(crate) root: BorrowedFd<'r>,
    pub(crate) upper: BorrowedFd<'r>,
    /// The workspace as the view shows it.
    pub(crate) shown: BorrowedFd<'r>,
    pub(crate) renewed: Renewed,
    pub(crate) again: Again,
}

impl Renewal<'_> {
    /// Compares paths that may have changed. `seen` reads what was known of the workspace.
    pub(crate) fn collect(
        &mut self,
        changed: &BTreeSet<Vec<u8>>,
        seen: impl FnOnce() -> Result<Snapshot>,
    ) -> Result<()> {
        let unreadable = failed("read", Path::new("."));
        let mut gone = Vec::new();
        for path in changed {
            if self.compare(path).map_err(&unreadable)? {
                gone.push(path);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        // A directory went with all that was in it.
        let seen = seen()?;
        for (path, _) in gone.iter().flat_map(|path| seen.below(path)) {
            self.compare(path).map_err(&unreadable)?;
        }
        Ok(())
    }

    /// Compares one path; returns whether nothing is there any more.
    fn compare(&mut self, path: &[u8]) -> io::Result<bool> {
        // No patch can have another path.
        let Ok(rel_path) = RelPath::parse(path) else { return Ok(false) };
        let lower = stat_beneath(self.root, path)?;
        let is_recent = |stat: &Stat| stat.changed.later_by(TICK_NANOS) >= now();
        if lower.as_ref().is_some_and(is_recent) {
            self.again.soon.insert(path.to_vec());
            return Ok(false);
        }
        let shown = stat_beneath(self.shown, path)?;
        // The view is asked first: what it showed then was not the command's.
        if stat_beneath(self.upper, path)?.is_some() {
            return Ok(false);
        }
        if !is_shown(lower.as_ref(), shown.as_ref()) || stat_beneath(self.root, path)? != lower {
            self.again.held.insert(path.to_vec());
            return Ok(false);
        }
        self.renewed.insert(rel_path, lower);
        Ok(lower.is_none())
    }
}

/// Whether a view shows what is in the workspace. It reports another device, and for directories
/// another inode.
fn is_shown(lower: Option<&Stat>, shown: Option<&Stat>) -> bool {
    match (lower, shown) {
        (None, None) => true,
        (Some(lower), Some(shown)) if lower.kind == Kind::Directory => {
            shown.kind == Kind::Directory
        }
        (Some(lower), Some(shown)) => {
            *lower == Stat { device: lower.device, born: lower.born, ..*shown }
        }
        _ => false,
    }
}
