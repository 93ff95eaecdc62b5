//! What the upper directory still holds when a view is made was made from what an earlier view has shown. So
//! what was seen there then is taken over into what is known of the next view, and what is there now is not.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use crate::bases::above_in;
use crate::changes::{Entry, EntryKind};
use crate::error::Result;
use crate::hidden::Hidden;
use crate::rules::Private;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat};
use crate::upper_read::UpperRead;
use crate::verdict::Above;

/// What was known of the last view.
pub(crate) struct Earlier<'e> {
    /// What it has shown.
    pub(crate) seen: &'e Snapshot,
    /// What was known of private paths.
    pub(crate) hidden: &'e Hidden,
    /// The workspace.
    pub(crate) root: BorrowedFd<'e>,
}

impl Earlier<'_> {
    /// What the next view shows, where it is `now` without what the upper directory keeps. `unstaged` are
    /// paths at which something is not staged.
    pub(crate) fn carry(
        &self,
        mut now: Snapshot,
        upper: &UpperRead,
        unstaged: &BTreeSet<Box<[u8]>>,
    ) -> Result<Snapshot> {
        let is_directory = |stat: &&Stat| stat.kind == Kind::Directory;
        for path in upper.entries.keys().chain(unstaged) {
            let before = self.seen.get(path).filter(is_directory);
            let entry = upper.entries.get(path);
            let made = entry.filter(|entry| matches!(entry.kind, EntryKind::Directory { .. }));
            let stat = match (now.get(path).filter(is_directory), made) {
                // A mode that a command has changed is not proposed, and named again.
                (Some(now), _) if unstaged.contains(path) => {
                    before.map(|before| Stat { mode: before.mode, ..*now })
                }
                (Some(_), _) => continue,
                // A directory that only holds what is kept.
                (None, Some(made)) => {
                    Some(*before.filter(|_| unstaged.contains(path)).unwrap_or(&made.stat))
                }
                (None, None) => self.carried(path)?,
            };
            now.set(path, stat);
        }
        // What the user has put below what hides it was never seen.
        let hiding = upper.entries.iter().filter(|(_, entry)| hides(entry));
        let hidden = hiding.flat_map(|(path, _)| now.below(path)).map(|(path, _)| path.into());
        for path in hidden.collect::<BTreeSet<Box<[u8]>>>() {
            now.set(&path, self.carried(&path)?);
        }
        Ok(now)
    }

    /// What is known of private paths from now on, where `now` has the topmost ones of the workspace.
    pub(crate) fn carry_hidden(
        &self,
        mut now: Snapshot,
        upper: &UpperRead,
        private: &mut Private<'_>,
    ) -> Result<Snapshot> {
        for path in upper.entries.keys().chain(upper.private.keys()) {
            let was_private = self.hidden.ignored.as_ref().and_then(|ignored| ignored.get(path));
            let carried = self.carried(path)?.filter(|stat| {
                // Much is known of what is in a directory that is not private.
                was_private.is_some()
                    || stat.kind != Kind::Directory
                    || private.is_private(path, stat.kind)
            });
            now.set(path, carried);
        }
        Ok(now)
    }

    /// What was seen at a path. It is no entry of the workspace where a directory above was moved since.
    fn carried(&self, path: &[u8]) -> Result<Option<Stat>> {
        let known = [Some(self.seen), self.hidden.ignored.as_ref()];
        for known in known.into_iter().flatten() {
            if let Some(stat) = known.carried(path) {
                let is_in_place = above_in(known, self.root, path)? == Above::InPlace
                    && above_in(self.seen, self.root, path)? == Above::InPlace;
                return Ok(Some(if is_in_place { stat } else { Stat { inode: 0, ..stat } }));
            }
        }
        Ok(None)
    }
}

/// Whether nothing of the workspace shows below what a command has made.
fn hides(entry: &Entry) -> bool {
    match entry.kind {
        EntryKind::Directory { opaque } => opaque,
        EntryKind::Unreadable => false,
        _ => true,
    }
}
