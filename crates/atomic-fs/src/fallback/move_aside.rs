//! File systems that cannot exchange two names, or cannot refuse to replace one.
//!
//! NFS, 9p and FUSE file systems without `RENAME2` take no rename flags at all, exFAT
//! takes only `RENAME_NOREPLACE` (rename(2)); all say EINVAL before they change
//! anything, so the call itself is the probe.
//!
//! Without the exclusive rename a slot arrives by link(2), which refuses to replace, and
//! loses its own name afterwards; a file leaves by a plain rename onto a name that only
//! Greenroom uses. Both are lossless. Without the exchange a file is moved aside before
//! its slot arrives, and for that moment its path names nothing: whoever opens it then
//! does not find it. That is why the user has to allow it.

use std::io;

use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::swap::Swapper;
use crate::error::FsError;
use crate::mutants::mutant;
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, is_unsupported};
use crate::os::file_state::FileState;
use crate::recovery::conflicts;
use crate::rel_path::RelPath;

impl Unit {
    /// The name that holds the file while its slot arrives, on file systems without
    /// exchange.
    pub(crate) fn aside(&self) -> RelPath {
        self.beside_slot(crate::apply::intent::ASIDE_MARKER)
    }
}

impl<D: Disk> Swapper<'_, '_, D> {
    /// Exchanges the slot with the file by the system's own call that replaces a file and
    /// keeps the old one, `ReplaceFileW`.
    ///
    /// That call can fail half-way, and its documentation and its copies disagree on what
    /// each code leaves. So the code decides nothing: the three names are looked at, and what
    /// was begun is finished, or taken back. A crash in it leaves one of the same states, and
    /// [`settle`] finds it.
    ///
    /// # Errors
    /// As [`exchange_by_moving_aside`](Self::exchange_by_moving_aside).
    pub(crate) fn exchange_by_replacing(
        &self,
        unit: &Unit,
        parent: &D::Dir,
    ) -> Result<(), FsError> {
        // Between the two steps the file is at no name but the one that is given to it.
        if !mutant!(RemovalsUnrecorded) {
            self.record.note_moved_aside(self.cache)?;
        }
        let aside = unit.aside();
        let (target, slot) = (unit.path.file_name(), unit.slot.file_name());
        // The call overwrites what has the name that it is to give the old file, and that may
        // be what an earlier one took out and a user has put another file before.
        match self.cache.stat(&aside) {
            Ok(None) => {}
            Ok(Some(_)) if mutant!(BackupOverwritten) => {}
            Ok(Some(_)) => return Err(replaced_by_another(unit)),
            Err(error) => return Err(error),
        }
        let kept = if mutant!(BackupNotGiven) { b"" } else { aside.file_name() };
        let answer = self.cache.disk.replace(parent, target, slot, kept);
        self.finish_replacing(unit, &aside, answer)
    }

    fn finish_replacing(
        &self,
        unit: &Unit,
        aside: &RelPath,
        answer: io::Result<()>,
    ) -> Result<(), FsError> {
        let cache = self.cache;
        let is_there = |path: &RelPath| Ok::<_, FsError>(cache.stat(path)?.is_some());
        let failed = |kind: io::ErrorKind| {
            let error = answer.as_ref().err().map_or_else(|| kind.into(), copied);
            FsError::io("swap", &unit.path)(error)
        };
        if answer.is_ok() && mutant!(SuccessTrusted) {
            let _ = cache.rename_to_own(aside, &unit.slot);
            return Ok(());
        }
        if answer.is_err() && (mutant!(FailureTrusted) || mutant!(HalfReplacedUnfinished)) {
            return Err(failed(io::ErrorKind::Other));
        }
        match (is_there(&unit.path)?, is_there(&unit.slot)?, is_there(aside)?) {
            // Replaced; if the path is free, the user has removed the new file already.
            (_, false, true) => cache.rename_to_own(aside, &unit.slot),
            // The file is moved aside, and the slot has not arrived.
            (false, true, true) => {
                if let Err(error) = cache.rename_own_to(&unit.slot, &unit.path) {
                    if !error.is(io::ErrorKind::AlreadyExists) {
                        cache.rename_own_to(aside, &unit.path)?;
                    }
                    return Err(error);
                }
                cache.rename_to_own(aside, &unit.slot)
            }
            // The same, and the user has put another file in its place: theirs stays.
            (true, true, true) => Err(replaced_by_another(unit)),
            // Nothing has changed. Where the call is not supported, renames do the same.
            (true, true, false) => match &answer {
                Err(error) if is_unsupported(error) => self.exchange_by_moving_aside(unit),
                _ => Err(failed(io::ErrorKind::Other)),
            },
            (false, _, false) => {
                Err(FsError::io("swap", &unit.path)(io::ErrorKind::NotFound.into()))
            }
            // Somebody has removed what was moved aside, or the slot.
            (true, false, false) => Err(failed(io::ErrorKind::Other)),
        }
    }

    /// Exchanges the slot with the file by way of a third name.
    ///
    /// Each name is durable before the next step takes away the one that it replaces:
    /// on a file system that writes a directory's names in any order, a power cut could
    /// otherwise leave the file nowhere.
    ///
    /// # Errors
    /// `NotFound` when there is no file at the path; `AlreadyExists` when a user has put
    /// one there while the path was free: theirs stays, and what was moved aside waits
    /// for the slots to be cleaned.
    pub(crate) fn exchange_by_moving_aside(&self, unit: &Unit) -> Result<(), FsError> {
        let (cache, aside) = (self.cache, unit.aside());
        // Between the two steps the file is at no name but the one that is given to it.
        if !mutant!(RemovalsUnrecorded) {
            self.record.note_moved_aside(self.cache)?;
        }
        cache.rename_to_own(&unit.path, &aside)?;
        let left = match mutant!(AsideUnsynced) {
            true => Ok(()),
            false => cache.sync_parent(&unit.path),
        };
        let arrived = left.and_then(|()| cache.rename_own_to(&unit.slot, &unit.path));
        if let Err(error) = arrived {
            // A slot that has arrived and not lost its own name is settled by whoever takes
            // the set back.
            let has_arrived = cache.is_same_file(&unit.slot, &unit.path)?;
            if !has_arrived && !mutant!(AsideNotPutBack) {
                // Where the user's own stands now, this fails as the arrival did.
                cache.rename_own_to(&aside, &unit.path)?;
            }
            return Err(error);
        }
        // The slot says that the file has arrived, so it gets the old one no sooner. Where the sync
        // fails, that waits for recovery.
        if !mutant!(ArrivalUnsynced) {
            cache.sync_parent(&unit.path)?;
        }
        cache.rename_to_own(&aside, &unit.slot)
    }
}

fn replaced_by_another(unit: &Unit) -> FsError {
    FsError::io("swap", &unit.path)(io::ErrorKind::AlreadyExists.into())
}

/// An error of the system's once more.
fn copied(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}

/// Brings what a crash left of an exchange by way of a third name, or of a link whose
/// first name was still to go, to a state that an exchange or a rename can leave.
pub(crate) fn settle<D: Disk>(cache: &DirCache<'_, D>, intent: &Intent) -> Result<(), FsError> {
    for unit in &intent.units {
        for path in [Some(&unit.path), unit.arrives_at()].into_iter().flatten() {
            if cache.is_same_file(&unit.slot, path)? && !mutant!(LinkedSlotsForgotten) {
                cache.drop_name(&unit.slot, path)?;
            }
        }
        if matches!(unit.action, Action::Replace { .. }) {
            settle_aside(cache, unit)?;
        }
    }
    Ok(())
}

/// Puts old files back where the new ones are nowhere: they were aside, on the way back, and something
/// else has removed them, or a user has. Nobody was told that the set is committed.
pub(crate) fn settle_way_back<D: Disk>(
    cache: &DirCache<'_, D>,
    intent: &Intent,
) -> Result<(), FsError> {
    for unit in &intent.units {
        let Action::Replace { base, .. } = &unit.action else { continue };
        if cache.stat(&unit.path)?.is_none()
            && cache.stat(&unit.aside())?.is_none()
            && cache.file_state(&unit.slot)?.matches(base)
        {
            cache.rename_own_to(&unit.slot, &unit.path)?;
        }
    }
    Ok(())
}

fn settle_aside<D: Disk>(cache: &DirCache<'_, D>, unit: &Unit) -> Result<(), FsError> {
    let aside = unit.aside();
    if mutant!(AsideForgotten) || cache.stat(&aside)?.is_none() {
        return Ok(());
    }
    if cache.is_same_file(&aside, &unit.path)? {
        return cache.drop_name(&aside, &unit.path);
    }
    let path_is_free = cache.stat(&unit.path)?.is_none();
    if path_is_free {
        // Whatever else is lost, the file is where it was.
        match cache.rename_own_to(&aside, &unit.path) {
            Err(error) if error.is(io::ErrorKind::AlreadyExists) => {}
            answer => return answer,
        }
    }
    if cache.stat(&unit.slot)?.is_none() {
        // Who was killed may not have come to it.
        if !mutant!(SettledUnsynced) {
            cache.sync_parent(&unit.path)?;
        }
        return cache.rename_to_own(&aside, &unit.slot);
    }
    // The user put a file there while the path was free.
    Ok(())
}

/// Removes what was moved aside and not put back, because a user had put a file in its
/// place. What is neither the base nor the set's own is an earlier save of theirs, and kept.
pub(crate) fn clean_aside<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    unit: &Unit,
) -> Result<(), FsError> {
    let Action::Replace { base, staged, .. } = &unit.action else { return Ok(()) };
    let aside = unit.aside();
    let cache = swapper.cache;
    match cache.file_state(&aside) {
        Ok(FileState::Absent) => Ok(()),
        Ok(_) if mutant!(AsideRemovedBlindly) => cache.remove_name(&aside),
        Ok(state) if state.content() == Some(base.content()) => cache.remove_name(&aside),
        Ok(state) if state.is_of_set(staged, unit.stamp) => cache.remove_name(&aside),
        Ok(_) => conflicts::keep(cache, &aside, &unit.path).map(|kept| swapper.note_kept(kept)),
        Err(error) if error.is_absence() => Ok(()),
        Err(error) => Err(error),
    }
}
