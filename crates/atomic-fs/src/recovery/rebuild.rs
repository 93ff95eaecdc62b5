//! The intent of a set whose journal is lost, planned again from the caller's record.

use crate::apply::consistency::check_consistency;
use crate::apply::intent::Intent;
use crate::apply::planning::{self, Facts};
use crate::apply::slot_name::{REBUILT_MARKER, slot_name};
use crate::change_set::{Change, ChangeSet, Operation};
use crate::error::FsError;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::file_state::UNKNOWN_STAMP;
use crate::records::SlotNumbers;
use crate::rel_path::RelPath;

/// Plans a set as it was planned when it was applied, without looking at what its files hold now.
///
/// What only the journal knew is unknown: stamps, the numbers of the files that were checked, and
/// which directories were made for the set, but for those that are missing now.
///
/// # Errors
/// [`FsError`] where the disk fails, or when the set contradicts itself.
pub(crate) fn plan_again<D: Disk>(
    cache: &DirCache<'_, D>,
    set: &ChangeSet,
    slots: SlotNumbers,
) -> Result<Intent, FsError> {
    check_consistency(set)?;
    let leaves =
        |change: &&Change| matches!(change.operation, Operation::Delete | Operation::Rename { .. });
    let were_files = set.changes.iter().filter(leaves).map(|change| change.path.clone()).collect();
    let facts = Facts { were_files, ..Facts::default() };
    let mut intent = match planning::plan(set, &facts, Some(cache)) {
        // A directory on the way is a symlink or a mount by now: that is found once more, and
        // reported, before anything is done.
        Err(FsError::Refused { .. }) => planning::plan(set, &facts, None::<&DirCache<'_, D>>)?,
        planned => planned?,
    };
    for unit in &mut intent.units {
        unit.stamp = UNKNOWN_STAMP;
    }
    match slots {
        SlotNumbers::Unknown => rename_slots(&mut intent)?,
        SlotNumbers::ByPath => find_slots_above(cache, &mut intent)?,
    }
    Ok(intent)
}

/// The slot of a file whose directory was still to be made lies above that directory, which may be
/// there by now: the set made it then.
fn find_slots_above<D: Disk>(cache: &DirCache<'_, D>, intent: &mut Intent) -> Result<(), FsError> {
    for unit in &mut intent.units {
        for dir in unit.slot.dirs_above().map(Some).chain([None]) {
            let slot = RelPath::in_dir(dir.as_ref(), unit.slot.file_name())?;
            if matches!(cache.stat(&slot), Ok(Some(_))) {
                if unit.staged().is_some() {
                    let made = unit.path.dirs_above().take_while(|made| Some(made) != dir.as_ref());
                    intent.new_dirs.extend(made);
                }
                unit.slot = slot;
                break;
            }
        }
    }
    intent.new_dirs.sort_by_key(|dir| (dir.components().count(), dir.clone()));
    intent.new_dirs.dedup();
    Ok(())
}

/// Gives the slots names of their own, for a set whose slots may be numbered otherwise.
fn rename_slots(intent: &mut Intent) -> Result<(), FsError> {
    for (number, unit) in intent.units.iter_mut().enumerate() {
        let name = slot_name(&format!("{}{REBUILT_MARKER}", intent.set), number);
        unit.slot = RelPath::in_dir(unit.slot.parent().as_ref(), name.as_bytes())?;
    }
    Ok(())
}
