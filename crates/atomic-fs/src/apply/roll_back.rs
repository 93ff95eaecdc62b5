//! Ending a set that cannot be applied, with nothing changed.

use crate::apply::barrier::barrier_two;
use crate::apply::intent::Intent;
use crate::apply::journal::Journal;
use crate::apply::record::Record;
use crate::apply::sequence::{backward, find_moved};
use crate::apply::swapper::{Obstacle, Swapper};
use crate::apply::tidy::{Unknown, clean_slots, remove_untouched_slots};
use crate::error::FsError;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::parallel;
use crate::outcome::{Applied, Outcome};
use crate::rel_path::RelPath;

/// Removes the slots and the journal of a set that fails before anything of it is swapped, but for
/// the slots whose names were `taken` by another file.
pub(crate) fn give_up<D: Disk>(
    cache: &DirCache<'_, D>,
    journals: &D::Dir,
    intent: &Intent,
    journal: &Journal<D>,
    taken: &[RelPath],
    cause: FsError,
) -> Applied {
    let disk = cache.disk;
    // Recorded before anything is removed: whole slots with an open intent are a set
    // that recovery would finish, and this one is about to be answered as undone.
    let recorded = journal.append(disk, &Record::RolledBack).and_then(|()| journal.sync(disk));
    // The journal's removal is synced as well, since the sync that failed may have
    // been the journal's own, and a second one of it proves nothing.
    let removed = remove_untouched_slots(cache, intent, taken)
        .and_then(|()| journal.remove(disk, journals))
        .and_then(|()| disk.sync_dir(journals).map_err(FsError::state("sync", "journal")));
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
pub(crate) fn roll_back<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    journals: &D::Dir,
    intent: Intent,
    journal: &Journal<D>,
    done: &[usize],
    obstacle: Obstacle,
) -> Applied {
    let (cache, disk) = (swapper.cache, swapper.cache.disk);
    let moved = find_moved(cache, &intent);
    let recorded = journal.append(disk, &Record::Abort);
    let undone = backward(swapper, &intent, done).and_then(|edited| {
        let synced = parallel::for_each(parallel::syncs(disk), 2, |index| match index {
            0 if recorded.is_ok() => journal.sync(disk),
            0 => Ok(()),
            _ => barrier_two(cache, &intent),
        });
        synced.into_iter().collect::<Result<(), _>>()?;
        if recorded.is_err() {
            // Without a record that forbids it, recovery would finish the set; so
            // what it would finish it with goes, and the journal after it.
            clean_slots(swapper, &intent, Unknown::Users)?;
            journal.remove(disk, journals)?;
            disk.sync_dir(journals).map_err(FsError::state("sync", "journal"))?;
        }
        Ok(edited)
    });
    let edited = match undone {
        Ok(edited) => edited,
        Err(error) => return Applied::unchanged(Outcome::InDoubt(error)),
    };
    // Before the answer: a user may set the set's own mode at once, and recovery would take that for
    // a leftover of the set and change it back.
    let ended = journal.append(disk, &Record::RolledBack).and_then(|()| journal.sync(disk));
    if let Err(error) = &ended {
        tracing::warn!(set = %intent.set, %error, "slots stay until recovery");
    } else if moved.is_some()
        && let Err(error) = clean_slots(swapper, &intent, Unknown::Users)
    {
        // Only the handles lead to them; who cleans up later looks at their old paths.
        tracing::warn!(set = %intent.set, %error, "slots stay in a directory that was moved");
    }
    // A moved directory is the cause of whatever failed first.
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
