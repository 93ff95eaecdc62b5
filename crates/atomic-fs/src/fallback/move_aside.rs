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
use crate::apply::swap_record::SwapRecord;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::file_state::FileState;
use crate::recovery::conflicts::{self, DisplacedEdit};

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
pub(crate) fn exchange<D: Disk>(
    cache: &DirCache<'_, D>,
    record: &SwapRecord<D>,
    unit: &Unit,
) -> Result<(), FsError> {
    let aside = unit.aside();
    // Between the two steps the file is at no name but the one that is given to it.
    record.note_moved_aside(cache)?;
    cache.rename_to_own(&unit.path, &aside)?;
    let left = cache.sync_parent(&unit.path);
    let arrived = left.and_then(|()| cache.rename_own_to(&unit.slot, &unit.path));
    if let Err(error) = arrived {
        // A slot that has arrived and not lost its own name is settled by whoever takes
        // the set back.
        let has_arrived = cache.is_same_file(&unit.slot, &unit.path)?;
        if !has_arrived {
            // Where the user's own stands now, this fails as the arrival did.
            cache.rename_own_to(&aside, &unit.path)?;
        }
        return Err(error);
    }
    // The slot says that the file has arrived, so it gets the old one no sooner. Where the sync
    // fails, that waits for recovery.
    cache.sync_parent(&unit.path)?;
    cache.rename_to_own(&aside, &unit.slot)
}

/// Brings what a crash left of an exchange by way of a third name, or of a link whose
/// first name was still to go, to a state that an exchange or a rename can leave.
pub(crate) fn settle<D: Disk>(cache: &DirCache<'_, D>, intent: &Intent) -> Result<(), FsError> {
    for unit in &intent.units {
        for path in [Some(&unit.path), unit.arrives_at()].into_iter().flatten() {
            if cache.is_same_file(&unit.slot, path)? {
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
/// else has removed them, or a user has. The set was not reported as committed.
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
    if cache.stat(&aside)?.is_none() {
        return Ok(());
    }
    if cache.is_same_file(&aside, &unit.path)? {
        return cache.drop_name(&aside, &unit.path);
    }
    let path_is_free = cache.stat(&unit.path)?.is_none();
    if path_is_free {
        // Whatever else is lost, the file is where it was.
        let moved = cache.rename_own_to(&aside, &unit.path);
        if moved.unless(&[io::ErrorKind::AlreadyExists])?.is_some() {
            return Ok(());
        }
    }
    if cache.stat(&unit.slot)?.is_none() {
        // Who was killed may not have come to it.
        cache.sync_parent(&unit.path)?;
        return cache.rename_to_own(&aside, &unit.slot);
    }
    // The user put a file there while the path was free.
    Ok(())
}

/// Removes what was moved aside and not put back, because a user had put a file in its
/// place. What is neither the base nor the set's own is an earlier save of theirs, and kept.
pub(crate) fn clean_aside<D: Disk>(
    cache: &DirCache<'_, D>,
    unit: &Unit,
) -> Result<Option<DisplacedEdit>, FsError> {
    let Action::Replace { base, staged, .. } = &unit.action else { return Ok(None) };
    let aside = unit.aside();
    let state = cache.file_state(&aside).if_there()?.unwrap_or(FileState::Absent);
    if state == FileState::Absent {
        return Ok(None);
    }
    let is_own = state.content() == Some(base.content()) || state.is_of_set(staged, unit.stamp);
    match is_own {
        true => cache.remove_name(&aside).map(|()| None),
        false => conflicts::keep(cache, &aside, &unit.path).map(Some),
    }
}
