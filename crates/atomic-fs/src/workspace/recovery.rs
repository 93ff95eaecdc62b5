//! Sets that a dead process left, and what they left behind.

use super::Workspace;
use crate::apply::journal::{Journal, Opened};
use crate::apply::journal_names;
use crate::apply::slot_name::is_slot_name;
use crate::apply::swapper::Swapper;
use crate::apply::tidy::{Unknown, clean_slots};
use crate::content::Digest;
use crate::error::FsError;
use crate::os::disk::Disk;
use crate::os::lock::WorkspaceLock;
use crate::records::SetRecords;
use crate::recovery::conflicts::DisplacedEdit;
use crate::recovery::recover::Recovery;
use crate::recovery::report::{Recovered, RecoveryReport};
use crate::recovery::restore;
use crate::recovery::sweep::{self, Swept};
use crate::rel_path::os_string;
use std::io::{self};
use std::path::PathBuf;

impl<D: Disk> Workspace<D> {
    /// Whether a journal lies in the state directory: a set that is being applied right
    /// now, or one that a dead process left.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory cannot be listed.
    pub fn needs_recovery(&self) -> Result<bool, FsError> {
        Ok(!journal_names::names(&self.disk, &self.locations.journals)?.is_empty())
    }

    /// The names in `journal/` of the journals that [`needs_recovery`](Self::needs_recovery)
    /// looks for.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory cannot be listed.
    pub fn open_journals(&self) -> Result<Vec<String>, FsError> {
        let names = journal_names::names(&self.disk, &self.locations.journals)?;
        Ok(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Finishes or undoes every set that has a journal, or that `records` calls undecided.
    ///
    /// A journal acts only where `records` has its set, and with the same changes. What else lies
    /// in `journal/`, and what is damaged, is renamed and reported. Slots that something removed
    /// are written anew from the contents of `records`.
    ///
    /// `record` receives each outcome once it is durable on disk, before its journal is
    /// removed. After a crash in between it receives it again, so it must take the same
    /// news twice. Where it fails, the journal stays.
    ///
    /// # Errors
    /// [`FsError`] where the disk fails again; what was recovered so far stays so.
    /// [`FsError::InUse`] when another state keeps changing the same directories.
    pub fn recover(
        &self,
        _lock: &WorkspaceLock,
        records: &dyn SetRecords,
        record: &mut dyn FnMut(&Recovered) -> io::Result<()>,
    ) -> Result<RecoveryReport, FsError> {
        let cache = self.cache();
        let (journals, policy) = (&self.locations.journals, &self.policy);
        Recovery { cache: &cache, journals, policy, records }.run(record)
    }

    /// The sets that recovery could neither finish nor take back, and that wait for a person.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory of journals cannot be listed.
    pub fn in_doubt(&self) -> Result<Vec<String>, FsError> {
        let parked = journal_names::parked(&self.disk, &self.locations.journals)?;
        Ok(parked.into_iter().map(|(set, _)| set).collect())
    }

    /// Lets the next [`recover`](Self::recover) try the sets in doubt again.
    ///
    /// # Errors
    /// [`FsError::Io`] when a journal cannot be renamed.
    pub fn reopen_in_doubt(&self, _lock: &WorkspaceLock) -> Result<(), FsError> {
        let journals = &self.locations.journals;
        for (set, name) in journal_names::parked(&self.disk, journals)? {
            self.disk
                .rename_replacing((journals, &name), (journals, &journal_names::file_name(&set)))
                .map_err(FsError::state("reopen the journal", os_string(&name)))?;
        }
        Ok(())
    }

    /// Gives a set in doubt up, after a person has put its files in order: removes its slots, and
    /// then its journal. Content that is neither old nor new goes to `conflicts/`.
    ///
    /// The caller records the outcome first: without a journal nothing shows that the set existed.
    ///
    /// # Errors
    /// [`FsError`] where the disk fails; the journal stays then.
    pub fn forget_in_doubt(
        &self,
        _lock: &WorkspaceLock,
        set: &str,
    ) -> Result<Vec<DisplacedEdit>, FsError> {
        let journals = &self.locations.journals;
        let Some((_, name)) = journal_names::parked(&self.disk, journals)?
            .into_iter()
            .find(|(waiting, _)| waiting == set)
        else {
            return Ok(Vec::new());
        };
        let cache = self.cache();
        let swapper = Swapper::new(&cache);
        if let Opened::Sound(journal, found) = Journal::open(&self.disk, journals, &name)? {
            restore::remove_parts(&cache, &found.intent)?;
            clean_slots(&swapper, &found.intent, Unknown::Users)?;
            journal.remove(&self.disk, journals)?;
        } else {
            journal_names::quarantine(&self.disk, journals, &name)?;
        }
        Ok(swapper.take_kept())
    }

    /// The names in `journal/` of the journals that are not acted on.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory cannot be listed.
    pub fn quarantined_journals(&self) -> Result<Vec<String>, FsError> {
        let names = journal_names::quarantined(&self.disk, &self.locations.journals)?;
        Ok(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Walks the tree for slots that no journal knows, after [`recover`](Self::recover), and
    /// removes those of the sets that `is_own` names. Content that `is_known` denies goes to
    /// `conflicts/`. What belongs to others, to another state over the same tree above all, stays.
    ///
    /// # Errors
    /// [`FsError::Io`].
    pub fn sweep(
        &self,
        _lock: &WorkspaceLock,
        is_own: &dyn Fn(&str) -> bool,
        is_known: &dyn Fn(&Digest) -> bool,
    ) -> Result<Swept, FsError> {
        if self.needs_recovery()? {
            return Ok(Swept::default());
        }
        let waiting = self.in_doubt()?;
        let is_own = |set: &str| is_own(set) && waiting.iter().all(|waiting| waiting != set);
        sweep::run(&self.cache(), self.policy.own_state.as_ref(), &is_own, is_known)
    }

    /// The files in `conflicts/`, sorted.
    ///
    /// # Errors
    /// [`FsError::Io`] when it cannot be listed.
    pub fn conflicts(&self) -> Result<Vec<PathBuf>, FsError> {
        let entries = self
            .disk
            .list(&self.locations.conflicts)
            .map_err(FsError::state("list", "conflicts"))?;
        let mut files: Vec<PathBuf> = entries
            .into_iter()
            // Not the half of a copy.
            .filter(|entry| !is_slot_name(&entry.name))
            .map(|entry| self.locations.conflicts_path.join(os_string(&entry.name)))
            .collect();
        files.sort();
        Ok(files)
    }
}
