//! The order of a set's steps, forward and back.

use std::collections::BTreeSet;

use crate::disk::Disk;
use crate::error::{Conflict, FsError};
use crate::intent::{Action, Intent, Unit};
use crate::rel_path::RelPath;
use crate::swap::{Obstacle, Swapper};

/// The order in which units are swapped: first what frees paths, then what fills
/// them; new directories come between, since a file may make way for one.
fn phase(action: &Action) -> u8 {
    match action {
        Action::Delete { .. } | Action::Move { .. } => 0,
        Action::Replace { .. } => 1,
        Action::Create { .. } => 2,
        Action::SetMode { .. } => 3,
    }
}

fn in_order(intent: &Intent) -> Vec<usize> {
    let mut order: Vec<usize> = (0..intent.units.len()).collect();
    order.sort_by_key(|index| phase(&intent.units[*index].action));
    order
}

/// Makes every step that `is_done` does not know to be made already. On an obstacle
/// returns the units that may have been touched, in the order in which they were.
pub(crate) fn forward<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    progress: &dyn Fn(usize) -> bool,
) -> Result<(), (Vec<usize>, Obstacle)> {
    let order = in_order(intent);
    let mut touched = Vec::new();
    let result = (|| {
        for &index in order.iter().filter(|index| !progress(**index)) {
            let unit = &intent.units[index];
            if let Action::Delete { base } | Action::Move { base, .. } = &unit.action {
                // Noted before the step: a step that fails may have got half-way, and
                // taking it back looks first.
                touched.push(index);
                if matches!(unit.action, Action::Move { .. }) && is_half_moved(swapper, unit)? {
                    continue;
                }
                swapper.set_aside(unit, base)?;
            }
        }
        for dir in &intent.new_dirs {
            swapper.make_dir(dir)?;
        }
        for &index in order.iter().filter(|index| !progress(**index)) {
            let unit = &intent.units[index];
            if !unit.frees_path() {
                touched.push(index);
            }
            match &unit.action {
                Action::Replace { base, staged } => swapper.replace(unit, base, staged)?,
                Action::Create { .. } => swapper.arrive(unit, &unit.path)?,
                Action::Move { to, .. } => swapper.arrive(unit, to)?,
                Action::SetMode { base, mode } => swapper.set_mode(unit, base, *mode)?,
                Action::Delete { .. } => {}
            }
        }
        Ok(())
    })();
    result.map_err(|obstacle| (touched, obstacle))
}

fn is_half_moved<D: Disk>(swapper: &Swapper<'_, '_, D>, unit: &Unit) -> Result<bool, FsError> {
    Ok(swapper.ground.stat(&unit.slot)?.is_some())
}

/// Takes units back in reverse, then the directories that were made.
pub(crate) fn backward<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    touched: &[usize],
) -> Result<Vec<Conflict>, FsError> {
    let mut edited = Vec::new();
    // All that arrived departs before anything that was set aside comes back: a path
    // may have been freed for another unit of the set.
    for &index in touched.iter().rev() {
        let unit = &intent.units[index];
        if let Action::Move { to, base, .. } = &unit.action {
            if swapper.ground.stat(&unit.slot)?.is_none() {
                edited.extend(swapper.depart(unit, to, base)?);
            }
        } else if !unit.frees_path() {
            edited.extend(swapper.undo(unit)?);
        }
    }
    for dir in intent.new_dirs.iter().rev() {
        swapper.remove_dir(dir)?;
    }
    for &index in touched.iter().rev() {
        let unit = &intent.units[index];
        if unit.frees_path() {
            swapper.back_from_aside(unit)?;
        }
    }
    Ok(edited)
}

/// Every directory in which a name may have changed.
pub(crate) fn touched_dirs(intent: &Intent) -> BTreeSet<Option<RelPath>> {
    let mut dirs = BTreeSet::new();
    for unit in &intent.units {
        if matches!(unit.action, Action::SetMode { .. }) {
            continue;
        }
        dirs.insert(unit.slot.parent());
        dirs.insert(unit.path.parent());
        dirs.extend(unit.arrives_at().map(RelPath::parent));
    }
    for dir in &intent.new_dirs {
        dirs.insert(dir.parent());
        dirs.insert(Some(dir.clone()));
    }
    dirs
}
