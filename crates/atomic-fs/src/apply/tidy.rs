//! Removing slots, and keeping a user's content that is in one.

use std::io::{self, Read};

use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::swapper::Swapper;
use crate::content::{ContentSource, Fingerprint};
use crate::error::{FsError, IfThere as _};
use crate::fallback::move_aside;
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_reader::FileReader;
use crate::os::file_state::{FileState, has_stamp};
use crate::os::parallel;
use crate::rel_path::RelPath;

/// What a slot's content can be when it is neither base nor staged.
#[derive(Clone, Copy)]
pub(crate) enum Unknown<'c> {
    /// A user's save.
    Users,
    /// That, or, where the file says that it was never swapped, what a crash left of a write: no
    /// swap is on record. The contents tell a part of what was to be written.
    UsersOrTorn(&'c dyn ContentSource),
    /// The same, and nothing tells the two apart but that an empty file holds no save.
    Untold,
}

/// Removes the slots of a set whose outcome is durable. Content that is neither base nor staged is a
/// user's and is moved to `conflicts/`, with the exceptions that `unknown` names.
pub(crate) fn clean_slots<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    unknown: Unknown<'_>,
) -> Result<(), FsError> {
    let cache = swapper.cache;
    parallel::for_each(parallel::reads(cache.disk), intent.units.len(), |index| {
        let unit = &intent.units[index];
        if let Action::RemoveDir { dirs } = &unit.action {
            return swapper.clean_dir_slot(unit, dirs);
        }
        if let Some(kept) = move_aside::clean_aside(cache, unit)? {
            swapper.note_kept(kept);
        }
        let state = cache.file_state(&unit.slot)?;
        let base = unit.base().map(|base| base.content());
        // A user may have saved what was approved, over an older save of theirs.
        let is_own = unit.staged().is_some_and(|staged| state.is_of_set(&staged, unit.stamp));
        match state.content() {
            None if state == FileState::Absent => Ok(()),
            content if is_own || (content.is_some() && content == base) => {
                cache.remove_name(&unit.slot)
            }
            // The set has written no directory and no special file.
            None => swapper.keep(unit),
            _ => match unknown {
                // A power cut can lose the record and keep the swap; then the file tells.
                Unknown::UsersOrTorn(contents)
                    if is_untouched(cache, unit)? && is_torn(cache, unit, &state, contents)? =>
                {
                    cache.remove_name(&unit.slot)
                }
                Unknown::Untold if state.bytes() == Some(0) => cache.remove_name(&unit.slot),
                _ => swapper.keep(unit),
            },
        }
    })
    .into_iter()
    .collect()
}

/// Whether a unit's file is the one that was checked, as far as one look tells. Its content alone
/// does not: a user may have put back what was there before.
fn is_untouched<D: Disk>(cache: &DirCache<'_, D>, unit: &Unit) -> Result<bool, FsError> {
    let Action::Replace { base, inode, .. } = &unit.action else {
        // Nothing but what was written for it comes into the slot of a created file.
        return Ok(unit.base().is_none());
    };
    let state = cache.file_state(&unit.path)?;
    let is_same = state.inode().is_some_and(|(_, now)| now == *inode);
    Ok(is_same && state.matches(base))
}

/// Whether a slot can be what a crash left of writing it, and not another's file that has come to
/// its name since. Where blocks reach the disk in any order, it can hold anything, in the length
/// that was reserved for it; else it is a part of what was to be written, or zeros.
fn is_torn<D: Disk>(
    cache: &DirCache<'_, D>,
    unit: &Unit,
    state: &FileState,
    contents: &dyn ContentSource,
) -> Result<bool, FsError> {
    let (Some(staged), FileState::File { stat, .. }) = (unit.staged(), state) else {
        return Ok(false);
    };
    if !staged.is_file() || stat.kind != FileKind::Regular {
        // A link comes whole, and nothing but one comes into a link's slot.
        return Ok(false);
    }
    if stat.bytes == staged.bytes || has_stamp(stat.modified_ns, unit.stamp) {
        return Ok(true);
    }
    let Some(file) = cache.open_file(&unit.slot).if_found()? else { return Ok(false) };
    let reader = FileReader { disk: cache.disk, file: &file, offset: 0 };
    is_part(reader, &staged, contents).map_err(FsError::io("read", &unit.slot))
}

/// Whether every byte is the one that was to be written there, or zero.
fn is_part(
    slot: impl Read,
    staged: &Fingerprint,
    contents: &dyn ContentSource,
) -> io::Result<bool> {
    // Without the content nothing shows that it is the set's own.
    let Ok(whole) = contents.open(&staged.digest) else { return Ok(false) };
    let mut whole = io::BufReader::new(whole).bytes();
    for byte in io::BufReader::new(slot).bytes() {
        let byte = byte?;
        let Some(Ok(expected)) = whole.next() else { return Ok(false) };
        if byte != expected && byte != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes slots that were written but never swapped, whole or not, and leaves alone those whose
/// names were `taken` by another's file.
pub(crate) fn remove_untouched_slots<D: Disk>(
    cache: &DirCache<'_, D>,
    intent: &Intent,
    taken: &[RelPath],
) -> Result<(), FsError> {
    for unit in intent.units.iter().filter(|unit| unit.staged().is_some()) {
        if !taken.contains(&unit.slot) {
            cache.remove_name(&unit.slot)?;
        }
    }
    Ok(())
}
