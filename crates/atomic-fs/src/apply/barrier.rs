//! The two points of an apply at which everything so far is made durable.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::journal::Journal;
use crate::apply::sequence::touched_dirs;
use crate::apply::slot;
use crate::beneath::Overlaid;
use crate::content::ContentSource;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::parallel;
use crate::policy::{LinkCheck, Policy};
use crate::rel_path::RelPath;

/// As many slots are written before the first of them is synced, by each of the calls in
/// flight: a journalling file system then makes several durable with one commit. All of
/// them are open meanwhile, which bounds the number.
const SLOTS_IN_BATCH: usize = 4;

/// Barrier 1: writes and syncs all slots, and syncs the journal, its name, and the caller's record
/// of the set.
///
/// The slots' names are not synced: a slot whose name a power cut took away is a
/// unit that was not swapped, and recovery then takes the others back.
pub(crate) fn barrier_one<D: Disk>(
    writer: &SlotWriter<'_, '_, D>,
    intent: &Intent,
    journal: &Journal<D>,
    journals: &D::Dir,
) -> Result<(), FsError> {
    let slots: Vec<&Unit> = intent.units.iter().filter(|u| u.staged().is_some()).collect();
    let in_flight = parallel::syncs(writer.cache.disk);
    let batch = (slots.len() / in_flight.calls).clamp(1, SLOTS_IN_BATCH);
    let batches: Vec<&[&Unit]> = slots.chunks(batch).collect();
    let sync_record = || writer.source.sync_record().map_err(FsError::records("sync"));
    let changed = paths_around_links(intent);
    parallel::for_each(in_flight, batches.len() + 2, |index| match index.checked_sub(2) {
        Some(index) => writer.write(batches[index], &changed),
        None if index == 0 => sync_journal(writer.cache.disk, journal, journals),
        None => sync_record(),
    })
    .into_iter()
    .collect()
}

/// Syncs the journal, and then its name: the first sync writes the name as well on file systems
/// with a journal of their own, so that the second one is not worth a thread.
fn sync_journal<D: Disk>(disk: &D, journal: &Journal<D>, journals: &D::Dir) -> Result<(), FsError> {
    journal.sync(disk)?;
    disk.sync_dir(journals).map_err(FsError::state("sync", "journal"))
}

/// Writes the slots of a set.
pub(crate) struct SlotWriter<'w, 'a, D: Disk> {
    pub cache: &'w DirCache<'a, D>,
    pub policy: &'w Policy,
    pub links: LinkCheck,
    pub source: &'w dyn ContentSource,
    /// The slots whose names another file has.
    pub taken: Mutex<Vec<RelPath>>,
}

impl<D: Disk> SlotWriter<'_, '_, D> {
    /// The slots whose names another file has: they are not this set's to remove.
    pub(crate) fn into_taken(self) -> Vec<RelPath> {
        self.taken.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the slots of these units, and then syncs them.
    fn write(&self, units: &[&Unit], changed: &HashSet<&RelPath>) -> Result<(), FsError> {
        let mut files = Vec::with_capacity(units.len());
        for unit in units {
            let staged = unit.staged().expect("units without a slot were left out");
            if !staged.is_file() && self.links == LinkCheck::Refused {
                let target = slot::read_target(&unit.path, &staged, self.source)?;
                self.policy.check_link(self.cache, &unit.path, &target, &mut |path| {
                    Ok(changed.contains(path).then_some(Overlaid::Unknown))
                })?;
            }
            let written = slot::write(self.cache, unit, &staged, self.source);
            if matches!(&written, Err(error) if error.is(std::io::ErrorKind::AlreadyExists)) {
                let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.push(unit.slot.clone());
            }
            files.push(written?);
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
}

/// The paths that a set changes, if it brings a link: where a link leads is not known from the disk
/// where it leads through these.
fn paths_around_links(intent: &Intent) -> HashSet<&RelPath> {
    let brings_link = |unit: &Unit| unit.staged().is_some_and(|staged| !staged.is_file());
    if !intent.units.iter().any(brings_link) {
        return HashSet::new();
    }
    let ends = intent.units.iter().filter_map(Unit::arrives_at);
    intent.units.iter().map(|unit| &unit.path).chain(ends).collect()
}

/// Barrier 2: syncs each directory that a swap touched once, and each file whose mode changed.
pub(crate) fn barrier_two<D: Disk>(
    cache: &DirCache<'_, D>,
    intent: &Intent,
) -> Result<(), FsError> {
    let disk = cache.disk;
    let dirs: Vec<Option<RelPath>> = touched_dirs(intent).into_iter().collect();
    let is_set_mode = |unit: &&Unit| matches!(unit.action, Action::SetMode { .. });
    let chmodded: Vec<&Unit> = intent.units.iter().filter(is_set_mode).collect();
    parallel::for_each(parallel::syncs(disk), dirs.len() + chmodded.len(), |index| {
        match dirs.get(index) {
            Some(dir) => sync_touched_dir(cache, dir.as_ref()),
            None => sync_mode(cache, &chmodded[index - dirs.len()].path),
        }
    })
    .into_iter()
    .collect()
}

fn sync_touched_dir<D: Disk>(
    cache: &DirCache<'_, D>,
    dir: Option<&RelPath>,
) -> Result<(), FsError> {
    // One that was made for the set and taken away again, or that the user has removed, has no names
    // to make durable.
    let Some(opened) = cache.dir(dir).if_there()? else { return Ok(()) };
    cache.disk.sync_dir(&opened).map_err(FsError::io("sync the directory", dir))
}

fn sync_mode<D: Disk>(cache: &DirCache<'_, D>, path: &RelPath) -> Result<(), FsError> {
    // Where the user has removed it since, there is no mode left to make durable.
    let Some(file) = cache.open_file(path).if_found()? else { return Ok(()) };
    cache.disk.sync_file(&file).map_err(FsError::io("sync the mode of", path))
}
