//! Prepare, intent, barrier 1, swaps, barrier 2: a set's way to the disk.

pub(crate) mod plan;

pub(crate) mod intent;
pub(crate) mod lookup;
pub(crate) mod removed_dirs;

pub(crate) mod journal;
pub(crate) mod slot;
pub(crate) mod spellings;

pub(crate) mod sequence;
pub(crate) mod swap;
pub(crate) mod swap_record;

pub(crate) mod clear_dir;
pub(crate) mod tidy;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::journal::{Journal, Record};
use crate::apply::plan::Planner;
use crate::apply::sequence::{backward, find_moved, forward, touched_dirs};
use crate::apply::swap::{Obstacle, Swapper};
use crate::apply::swap_record::SwapRecord;
use crate::apply::tidy::{Unknown, clean_slots, remove_untouched_slots};
use crate::beneath::Overlaid;
use crate::change_set::ChangeSet;
use crate::content::ContentSource;
use crate::error::{Conflict, FsError};
use crate::mutants::mutant;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::parallel;
use crate::policy::Policy;
use crate::recovery::conflicts::Kept;
use crate::rel_path::RelPath;

/// As many slots are written before the first of them is synced, by each of the calls in
/// flight: a journalling file system then makes several durable with one commit. All of
/// them are open meanwhile, which bounds the number.
const SLOTS_IN_BATCH: usize = 4;

/// What an apply came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// All of it is on disk, and survives a power cut.
    Committed,
    /// Files are not what was expected. Nothing has changed.
    Conflicts(Vec<Conflict>),
    /// Something failed. Nothing has changed, and a power cut does not change that.
    RolledBack(FsError),
    /// A sync failed after the swaps: recovery decides at the next start, and until
    /// then both outcomes are possible.
    InDoubt(FsError),
}

/// An apply's answer.
#[must_use]
#[derive(Debug)]
pub struct Applied {
    /// What it came to.
    pub outcome: Outcome,
    /// What is left to tidy up, to be given to `clean_up` and then `forget` under the
    /// same lock; `None` when nothing of it is left, or when recovery must decide.
    pub unfinished: Option<Unfinished>,
    /// User's edits that could not be put back in place and went to `conflicts/`.
    pub kept: Vec<Kept>,
    /// Files that a user edited in the middle of the set; their edits stand.
    pub edited: Vec<Conflict>,
    /// Directories that a committed set made, outermost first.
    pub made_dirs: Vec<RelPath>,
    /// Directories that a committed set has taken away, or that it may have emptied and that are
    /// removed by `clean_up` then, outermost first, with their permission bits where these are
    /// known.
    pub removed_dirs: Vec<(RelPath, Option<u32>)>,
}

/// A set whose outcome is durable but whose slots and journal still lie about.
#[derive(Debug)]
pub struct Unfinished {
    pub(crate) intent: Intent,
    pub(crate) record: Record,
}

/// A set on its way.
pub(crate) struct Apply<'g, 'a, D: Disk> {
    pub cache: &'g DirCache<'a, D>,
    pub journals: &'a D::Dir,
    pub policy: &'g Policy,
}

impl<D: Disk> Apply<'_, '_, D> {
    /// Runs the whole protocol.
    pub(crate) fn run(&self, set: &ChangeSet, source: &dyn ContentSource) -> Applied {
        let planner = Planner { cache: self.cache, policy: self.policy };
        let intent = match planner.plan(set) {
            Ok(intent) => intent,
            Err(outcome) => return Applied::unchanged(outcome),
        };
        let disk = self.cache.disk;
        let journal = match Journal::create(disk, self.journals, &intent) {
            Ok(journal) => Arc::new(journal),
            Err(error) => return Applied::unchanged(Outcome::RolledBack(error)),
        };
        let taken = Mutex::default();
        let prepared = self.barrier_one(&intent, &journal, source, &taken);
        if let Err(error) = prepared.and_then(|()| spellings::check(self.cache, &intent)) {
            let taken = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
            return self.abandon(&intent, &journal, &taken, error);
        }
        if !mutant!(SwappingUnrecorded)
            && let Err(error) = journal.append(disk, &Record::Swapping)
        {
            return self.abandon(&intent, &journal, &[], error);
        }
        let record = SwapRecord::of(journal.clone());
        let swapper = Swapper::of_apply(self.cache, record);
        // After a power cut that lost the record, a file that is neither at its path nor in a slot
        // would be one that a user removed.
        let takes_away = intent.units.iter().any(Unit::frees_path);
        if takes_away
            && !mutant!(RemovalsUnrecorded)
            && let Err(error) = swapper.record.make_durable(self.cache)
        {
            return self.abandon(&intent, &journal, &[], error);
        }
        let mut applied = match forward(&swapper, &intent, &|_| false) {
            // Durable before the answer: a user may remove at once what was created, and after a
            // power cut nothing else would tell that from what never arrived.
            Ok(()) => match self
                .barrier_two_of_apply(&intent, &journal)
                .and_then(|()| self.record_committed(&swapper, &intent, &journal))
            {
                Ok(()) => {
                    let made_dirs = intent.new_dirs.clone();
                    let removed_dirs = intent.removed_dirs();
                    Applied {
                        made_dirs,
                        removed_dirs,
                        ..Applied::with(Outcome::Committed, intent, Record::Committed)
                    }
                }
                Err(error) => Applied::unchanged(Outcome::InDoubt(error)),
            },
            Err((done, obstacle)) => self.roll_back(&swapper, intent, &journal, &done, obstacle),
        };
        applied.kept = swapper.take_kept();
        applied
    }

    fn record_committed(
        &self,
        swapper: &Swapper<'_, '_, D>,
        intent: &Intent,
        journal: &Journal<D>,
    ) -> Result<(), FsError> {
        if mutant!(SlotsRemovedTooEarly) {
            clean_slots(swapper, intent, Unknown::Users)?;
        }
        if mutant!(CommittedTooLate) {
            return Ok(());
        }
        journal.append(self.cache.disk, &Record::Committed)?;
        if mutant!(CommittedUnsynced) {
            return Ok(());
        }
        journal.sync(self.cache.disk)
    }

    /// Writes and syncs all slots, and syncs the journal and its name, and the caller's record of
    /// the set.
    ///
    /// The slots' names are not synced: a slot whose name a power cut took away is a
    /// unit that was not swapped, and recovery then takes the others back.
    fn barrier_one(
        &self,
        intent: &Intent,
        journal: &Journal<D>,
        source: &dyn ContentSource,
        taken: &Mutex<Vec<RelPath>>,
    ) -> Result<(), FsError> {
        let disk = self.cache.disk;
        let slots: Vec<&Unit> = intent.units.iter().filter(|u| u.staged().is_some()).collect();
        let changed = paths_around_links(intent);
        let in_flight = parallel::syncs(disk);
        let batch = (slots.len() / in_flight.calls).clamp(1, SLOTS_IN_BATCH);
        let batches: Vec<&[&Unit]> = slots.chunks(batch).collect();
        parallel::for_each(in_flight, batches.len() + 2, |index| match index.checked_sub(2) {
            Some(index) => self.write_slots(batches[index], &changed, source, taken),
            None if index == 0 => self.sync_journal(journal),
            None => source.sync_record().map_err(FsError::io("sync", "the record of the set")),
        })
        .into_iter()
        .collect()
    }

    /// Syncs the journal, and then its name: the first sync writes the name as well on file systems
    /// with a journal of their own, so that the second one is not worth a thread.
    fn sync_journal(&self, journal: &Journal<D>) -> Result<(), FsError> {
        let disk = self.cache.disk;
        if !mutant!(JournalUnsynced) {
            journal.sync(disk)?;
        }
        if mutant!(JournalNameUnsynced) {
            return Ok(());
        }
        disk.sync_dir(self.journals).map_err(FsError::io("sync", "journal/"))
    }

    /// Notes in `taken` the slots whose names something else has.
    fn write_slots(
        &self,
        units: &[&Unit],
        changed: &HashSet<&RelPath>,
        source: &dyn ContentSource,
        taken: &Mutex<Vec<RelPath>>,
    ) -> Result<(), FsError> {
        let mut files = Vec::with_capacity(units.len());
        for unit in units {
            let staged = unit.staged().expect("units without a slot were left out");
            if !staged.kind.is_file() {
                let target = slot::read_target(&unit.path, &staged, source)?;
                self.policy.check_link(self.cache, &unit.path, &target, &mut |path| {
                    Ok(changed.contains(path).then_some(Overlaid::Unknown))
                })?;
            }
            let written = slot::write(self.cache, unit, &staged, source);
            if matches!(&written, Err(error) if error.is(std::io::ErrorKind::AlreadyExists)) {
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(unit.slot.clone());
            }
            files.push(written?);
        }
        if mutant!(SlotsUnsynced) {
            return Ok(());
        }
        for (unit, file) in units.iter().zip(files) {
            let disk = self.cache.disk;
            let synced = match &file {
                Some(file) => disk.sync_file(file),
                None => disk.sync_dir(&*self.cache.parent(&unit.slot)?),
            };
            synced.map_err(FsError::io("sync the new content of", &unit.path))?;
        }
        Ok(())
    }

    fn barrier_two_of_apply(&self, intent: &Intent, journal: &Journal<D>) -> Result<(), FsError> {
        if mutant!(CommittedTooEarly) {
            journal.append(self.cache.disk, &Record::Committed)?;
        }
        if mutant!(BarrierTwoSkipped) {
            return Ok(());
        }
        self.barrier_two(intent)
    }

    /// Syncs each directory that a swap touched once, and each file whose mode
    /// changed.
    pub(crate) fn barrier_two(&self, intent: &Intent) -> Result<(), FsError> {
        let disk = self.cache.disk;
        let dirs: Vec<Option<RelPath>> = touched_dirs(intent).into_iter().collect();
        let chmodded: Vec<&Unit> = intent
            .units
            .iter()
            .filter(|unit| matches!(unit.action, Action::SetMode { .. }))
            .collect();
        parallel::for_each(parallel::syncs(disk), dirs.len() + chmodded.len(), |index| {
            if let Some(dir) = dirs.get(index) {
                let opened = match self.cache.dir(dir.as_ref()) {
                    Ok(opened) => opened,
                    // Made for the set and taken away again, or removed by the user:
                    // there are no names in it to make durable.
                    Err(error) if error.is_absence() => return Ok(()),
                    Err(error) => return Err(error),
                };
                let shown = dir.as_ref().map_or_else(|| ".".to_owned(), ToString::to_string);
                return disk.sync_dir(&opened).map_err(FsError::io("sync the directory", shown));
            }
            let path = &chmodded[index - dirs.len()].path;
            let file = match self.cache.open_file(path) {
                Ok(file) => file,
                // Removed by the user since: there is no mode left to make durable.
                Err(error) if error.is(std::io::ErrorKind::NotFound) => return Ok(()),
                Err(error) => return Err(error),
            };
            if mutant!(ModeUnsynced) {
                return Ok(());
            }
            disk.sync_file(&file).map_err(FsError::io("sync the mode of", path))
        })
        .into_iter()
        .collect()
    }

    /// Nothing has been swapped: removes the slots and the journal.
    fn abandon(
        &self,
        intent: &Intent,
        journal: &Journal<D>,
        taken: &[RelPath],
        cause: FsError,
    ) -> Applied {
        let disk = self.cache.disk;
        // Recorded before anything is removed: whole slots with an open intent are a set
        // that recovery would finish, and this one is about to be answered as undone.
        let recorded = if mutant!(AbandonUnrecorded) {
            Ok(())
        } else {
            journal.append(disk, &Record::RolledBack).and_then(|()| journal.sync(disk))
        };
        // The journal's removal is synced as well, since the sync that failed may have
        // been the journal's own, and a second one of it proves nothing.
        let removed = remove_untouched_slots(self.cache, intent, taken)
            .and_then(|()| journal.remove(disk, self.journals))
            .and_then(|()| disk.sync_dir(self.journals).map_err(FsError::io("sync", "journal/")));
        match (recorded, removed) {
            (_, Ok(())) => {}
            (Ok(()), Err(error)) => {
                tracing::warn!(set = %intent.set, %error, "slots stay until recovery");
            }
            (Err(_), Err(_)) => return Applied::unchanged(Outcome::InDoubt(cause)),
        }
        Applied::unchanged(Outcome::RolledBack(cause))
    }

    /// Takes back the units that are done, in reverse, and makes that durable before
    /// it is reported.
    fn roll_back(
        &self,
        swapper: &Swapper<'_, '_, D>,
        intent: Intent,
        journal: &Journal<D>,
        done: &[usize],
        obstacle: Obstacle,
    ) -> Applied {
        let disk = self.cache.disk;
        let moved = find_moved(self.cache, &intent);
        let recorded = match mutant!(AbortUnrecorded) {
            true => Ok(()),
            false => journal.append(disk, &Record::Abort),
        };
        let undone = backward(swapper, &intent, done).and_then(|edited| {
            let synced = parallel::for_each(parallel::syncs(disk), 2, |index| match index {
                _ if mutant!(AbortUnsynced) => Ok(()),
                0 if recorded.is_ok() => journal.sync(disk),
                0 => Ok(()),
                _ => self.barrier_two(&intent),
            });
            synced.into_iter().collect::<Result<(), _>>()?;
            if recorded.is_err() {
                // Without a record that forbids it, recovery would finish the set; so
                // what it would finish it with goes, and the journal after it.
                clean_slots(swapper, &intent, Unknown::Users)?;
                journal.remove(disk, self.journals)?;
                disk.sync_dir(self.journals).map_err(FsError::io("sync", "journal/"))?;
            }
            Ok(edited)
        });
        let edited = match undone {
            Ok(edited) => edited,
            Err(error) => return Applied::unchanged(Outcome::InDoubt(error)),
        };
        // Before the answer: a user may wish for the set's own mode at once, and recovery would
        // take that for what the set has left, and take it back.
        let ended = match mutant!(RolledBackTooLate) {
            true => Ok(()),
            false => journal.append(disk, &Record::RolledBack).and_then(|()| journal.sync(disk)),
        };
        if let Err(error) = &ended {
            tracing::warn!(set = %intent.set, %error, "slots stay until recovery");
        } else if moved.is_some()
            && let Err(error) = clean_slots(swapper, &intent, Unknown::Users)
        {
            // Only the handles lead to them; who cleans up later looks at their old paths.
            tracing::warn!(set = %intent.set, %error, "slots stay in a directory that was moved");
        }
        // Whatever failed first, it failed because of that.
        let outcome = match (moved, obstacle) {
            (Some(moved), _) => Outcome::RolledBack(moved),
            (None, Obstacle::Conflict(conflict)) => Outcome::Conflicts(vec![conflict]),
            (None, Obstacle::Failed(error)) => Outcome::RolledBack(error),
        };
        if recorded.is_err() || ended.is_err() {
            // Without a journal nothing is left; with one, what is left is recovery's.
            return Applied { edited, ..Applied::unchanged(outcome) };
        }
        Applied { edited, ..Applied::with(outcome, intent, Record::RolledBack) }
    }
}

impl Applied {
    pub(crate) fn unchanged(outcome: Outcome) -> Self {
        Self {
            outcome,
            unfinished: None,
            kept: Vec::new(),
            edited: Vec::new(),
            made_dirs: Vec::new(),
            removed_dirs: Vec::new(),
        }
    }

    fn with(outcome: Outcome, intent: Intent, record: Record) -> Self {
        let unfinished = Some(Unfinished { intent, record });
        Self { unfinished, ..Self::unchanged(outcome) }
    }
}

/// The paths that a set changes, if it brings a link: where a link leads is not known from the disk
/// where it leads through these.
fn paths_around_links(intent: &Intent) -> HashSet<&RelPath> {
    let brings_link = |unit: &Unit| unit.staged().is_some_and(|staged| !staged.kind.is_file());
    if !intent.units.iter().any(brings_link) {
        return HashSet::new();
    }
    let ends = intent.units.iter().filter_map(Unit::arrives_at);
    intent.units.iter().map(|unit| &unit.path).chain(ends).collect()
}
