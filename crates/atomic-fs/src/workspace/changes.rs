//! Applying change sets, and what is left to do after one.

use super::Workspace;
use crate::apply::Apply;
use crate::apply::clear_dir::remove_emptied;
use crate::apply::journal::{Journal, Opened};
use crate::apply::journal_names;
use crate::apply::record::Record;
use crate::apply::swapper::Swapper;
use crate::apply::tidy::{Unknown, clean_slots};
use crate::change_set::{Change, ChangeSet};
use crate::content::ContentSource;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_locks;
use crate::os::disk::Disk;
use crate::os::lock::WorkspaceLock;
use crate::outcome::{Applied, Outcome, Unfinished};
use crate::policy::LinkCheck;
use crate::recovery::conflicts::DisplacedEdit;
use crate::rel_path::RelPath;

impl<D: Disk> Workspace<D> {
    /// Applies a change set whole or not at all.
    ///
    /// # Durability
    /// With [`Outcome::Committed`] every change survives a power cut; with
    /// `Conflicts` and `RolledBack` nothing has changed, and a power cut does not
    /// change that.
    pub fn apply(
        &self,
        _lock: &WorkspaceLock,
        set: &ChangeSet,
        source: &dyn ContentSource,
    ) -> Applied {
        self.change(set, source, LinkCheck::Refused)
    }

    /// The same for a set that brings back what was there before: a symbolic link comes back
    /// wherever it leads, also out of the workspace.
    ///
    /// # Durability
    /// As [`apply`](Self::apply).
    pub fn take_back(
        &self,
        _lock: &WorkspaceLock,
        set: &ChangeSet,
        source: &dyn ContentSource,
    ) -> Applied {
        self.change(set, source, LinkCheck::Allowed)
    }

    fn change(&self, set: &ChangeSet, source: &dyn ContentSource, links: LinkCheck) -> Applied {
        match self.needs_recovery() {
            Ok(false) => {}
            Ok(true) => {
                return Applied::unchanged(Outcome::RolledBack(FsError::NotRecovered));
            }
            Err(error) => return Applied::unchanged(Outcome::RolledBack(error)),
        }
        let cache = self.cache();
        let arrivals = set.changes.iter().filter_map(Change::arrives_at);
        let paths = set.changes.iter().map(|change| &change.path).chain(arrivals);
        let _locks = match dir_locks::take(&cache, paths) {
            Ok(locks) => locks,
            Err(error) => return Applied::unchanged(Outcome::RolledBack(error)),
        };
        let (journals, policy) = (&self.locations.journals, &self.policy);
        let apply = Apply { cache: &cache, journals, policy, links };
        apply.run(set, source)
    }

    /// Tidies up after an answer: removes the slots, and directories that the set has emptied.
    /// Returns the user's bytes that were found in the slots.
    ///
    /// # Errors
    /// [`FsError::Io`]; what is left then is recovery's.
    pub fn clean_up(
        &self,
        _lock: &WorkspaceLock,
        unfinished: &Unfinished,
    ) -> Result<Vec<DisplacedEdit>, FsError> {
        let cache = self.cache();
        if self.journal_of(unfinished)?.is_none() {
            return Ok(Vec::new());
        }
        let swapper = Swapper::new(&cache);
        clean_slots(&swapper, &unfinished.intent, Unknown::Users)?;
        if unfinished.record == Record::Committed {
            remove_emptied(&swapper, &unfinished.intent)?;
        }
        Ok(swapper.take_kept())
    }

    /// Removes the journal, once the caller has made its own record of the outcome
    /// durable.
    ///
    /// # Errors
    /// [`FsError::Io`].
    pub fn forget(&self, _lock: &WorkspaceLock, unfinished: Unfinished) -> Result<(), FsError> {
        match self.journal_of(&unfinished)? {
            Some(journal) => journal.remove(&self.disk, &self.locations.journals),
            None => Ok(()),
        }
    }

    fn journal_of(&self, unfinished: &Unfinished) -> Result<Option<Journal<D>>, FsError> {
        let name = journal_names::file_name(&unfinished.intent.set);
        match Journal::open(&self.disk, &self.locations.journals, &name).if_there()? {
            Some(Opened::Sound(journal, _)) => Ok(Some(journal)),
            // Recovery's, or gone.
            _ => Ok(None),
        }
    }

    /// Removes directories that hold nothing, innermost first. One that holds something, or
    /// is gone, stays as it is.
    ///
    /// # Durability
    /// What was removed stays so after a power cut. A crash in between leaves some of them.
    ///
    /// # Errors
    /// [`FsError`]; directories are no part of what a change set promises.
    pub fn remove_empty_dirs(
        &self,
        _lock: &WorkspaceLock,
        dirs: &[RelPath],
    ) -> Result<(), FsError> {
        let cache = self.cache();
        let swapper = Swapper::new(&cache);
        // One whose parent is a symlink or another mount now is another directory, or gone.
        let is_reached = |dir: &&RelPath| {
            !matches!(cache.dir(dir.parent().as_ref()), Err(FsError::Refused { .. }))
        };
        let mut dirs: Vec<&RelPath> = dirs.iter().filter(is_reached).collect();
        dirs.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
        for dir in &dirs {
            swapper.remove_dir(dir)?;
        }
        let parents: std::collections::BTreeSet<Option<RelPath>> =
            dirs.iter().map(|dir| dir.parent()).collect();
        for parent in parents {
            // The handle of a directory that was just removed, too: its sync does nothing.
            if let Some(dir) = cache.dir(parent.as_ref()).if_there()? {
                self.disk.sync_dir(&dir).map_err(FsError::io("sync", parent.as_ref()))?;
            }
        }
        Ok(())
    }
}
