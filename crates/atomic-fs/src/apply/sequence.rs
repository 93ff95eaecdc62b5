//! The order of a set's steps, forward and back.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::apply::intent::{Action, Intent, Unit, lies_in};
use crate::apply::swapper::{Obstacle, Swapper};
use crate::conflict::Conflict;
use crate::error::{FsError, IfThere as _};
use crate::fallback::move_aside;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::parallel;
use crate::rel_path::RelPath;

/// The steps that may run at the same time: first those that free paths, then those that
/// fill them; new directories are made in between, since a file may make way for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    Clear,
    Replace,
    Arrive,
    SetMode,
}

impl Phase {
    fn concerns(self, action: &Action) -> bool {
        match action {
            Action::Delete { .. } => self == Self::Free,
            Action::Move { .. } => matches!(self, Self::Free | Self::Arrive),
            Action::Replace { .. } => self == Self::Replace,
            Action::Create { .. } => self == Self::Arrive,
            Action::SetMode { .. } => self == Self::SetMode,
            Action::RemoveDir { .. } => self == Self::Clear,
        }
    }
}

/// Makes every step that `is_done` does not know to be made already, those of one
/// phase side by side. On an obstacle returns the units that may have been touched,
/// in the order in which they were.
pub(crate) fn forward<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    is_done: &(dyn Fn(usize) -> bool + Sync),
) -> Result<(), (Vec<usize>, Obstacle)> {
    let mut touched = Vec::new();
    let result = (|| {
        run_phase(swapper, intent, Phase::Free, is_done, &mut touched)?;
        sync_slots_of_cleared(swapper, intent)?;
        run_phase(swapper, intent, Phase::Clear, is_done, &mut touched)?;
        sync_handed_over(swapper, intent)?;
        let modes: HashMap<&RelPath, u32> =
            intent.new_modes.iter().map(|(dir, mode)| (dir, *mode)).collect();
        let moved_into = intent.dirs_moved_into();
        for dir in &intent.new_dirs {
            swapper.make_dir(dir, modes.get(dir).copied())?;
            // A file that moves has no other name once it is in there.
            if moved_into.contains(dir) {
                swapper.cache.sync_parent(dir)?;
            }
        }
        for phase in [Phase::Replace, Phase::Arrive, Phase::SetMode] {
            run_phase(swapper, intent, phase, is_done, &mut touched)?;
        }
        let checked: Result<(), FsError> =
            check_in_place(swapper.cache, intent).into_iter().collect();
        Ok(checked?)
    })();
    result.map_err(|obstacle| (touched, obstacle))
}

/// Checks that every directory is still at its path: a handle follows a directory that is moved, even
/// out of the workspace. A directory that is moved later takes finished files with it.
fn check_in_place<D: Disk>(cache: &DirCache<'_, D>, intent: &Intent) -> Vec<Result<(), FsError>> {
    let mut dirs: BTreeSet<RelPath> = touched_dirs(intent).into_iter().flatten().collect();
    dirs.extend(intent.units.iter().filter_map(|unit| unit.path.parent()));
    let cleared = intent.cleared_dirs();
    let dirs: Vec<RelPath> = dirs.into_iter().filter(|dir| !lies_in(dir, &cleared)).collect();
    parallel::for_each(parallel::reads(cache.disk), dirs.len(), |index| {
        cache.check_in_place(&dirs[index])
    })
}

/// A directory of a set that is not at its path any more.
pub(crate) fn find_moved<D: Disk>(cache: &DirCache<'_, D>, intent: &Intent) -> Option<FsError> {
    let is_moved = |error: &FsError| matches!(error, FsError::DirectoryMoved { .. });
    check_in_place(cache, intent).into_iter().filter_map(Result::err).find(is_moved)
}

fn run_phase<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    phase: Phase,
    is_done: &(dyn Fn(usize) -> bool + Sync),
    touched: &mut Vec<usize>,
) -> Result<(), Obstacle> {
    let todo: Vec<usize> = (0..intent.units.len())
        .filter(|index| phase.concerns(&intent.units[*index].action) && !is_done(*index))
        .collect();
    // No two units of a set share a path or a slot, so those of one phase are independent.
    let answers =
        parallel::until_failure(parallel::reads(swapper.cache.disk), todo.len(), |index| {
            make_step(swapper, &intent.units[todo[index]], phase)
        });
    let mut first_obstacle = Ok(());
    for (index, answer) in answers {
        // A step that fails may be half done, and taking it back looks first.
        let is_first_step = match phase {
            Phase::Free | Phase::Clear => true,
            _ => !intent.units[todo[index]].frees_path(),
        };
        if is_first_step {
            touched.push(todo[index]);
        }
        if first_obstacle.is_ok() {
            first_obstacle = answer;
        }
    }
    first_obstacle
}

fn make_step<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    unit: &Unit,
    phase: Phase,
) -> Result<(), Obstacle> {
    match &unit.action {
        Action::Delete { base } => swapper.move_aside(unit, base),
        Action::Move { to, .. } if phase == Phase::Arrive => swapper.arrive(unit, to),
        Action::Move { base, .. } => match swapper.cache.stat(&unit.slot)? {
            // Half moved before a crash.
            Some(_) => Ok(()),
            None => swapper.move_aside(unit, base),
        },
        Action::Replace { base, staged, .. } => swapper.replace(unit, base, staged),
        Action::Create { .. } => swapper.arrive(unit, &unit.path),
        Action::SetMode { base, mode } => swapper.set_mode(unit, base, *mode),
        Action::RemoveDir { dirs } => swapper.clear_dir(unit, dirs),
    }
}

/// Takes units back in reverse, then the directories that were made.
pub(crate) fn backward<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    touched: &[usize],
) -> Result<Vec<Conflict>, FsError> {
    let mut edited = Vec::new();
    swapper.record.make_durable(swapper.cache)?;
    move_aside::settle(swapper.cache, intent)?;
    // What arrived is taken away before anything that was moved aside comes back: a path
    // may have been freed for another unit of the set.
    for &index in touched.iter().rev() {
        let unit = &intent.units[index];
        if let Action::Move { to, base, .. } = &unit.action {
            if swapper.cache.stat(&unit.slot)?.is_none() {
                edited.extend(swapper.depart(unit, to, base)?);
            }
        } else if !unit.frees_path() {
            edited.extend(swapper.undo(unit)?);
        }
    }
    sync_moved_back(swapper, intent)?;
    for dir in intent.new_dirs.iter().rev() {
        swapper.remove_dir(dir)?;
    }
    sync_handed_over(swapper, intent)?;
    for &index in touched.iter().rev() {
        let unit = &intent.units[index];
        if let Action::RemoveDir { dirs } = &unit.action {
            swapper.dir_back(unit, dirs)?;
        }
    }
    for &index in touched.iter().rev() {
        let unit = &intent.units[index];
        if unit.frees_path() && unit.base().is_some() {
            swapper.back_from_aside(unit, None)?;
        }
    }
    Ok(edited)
}

/// Makes durable that moved files are in their slots again before the directories that were made for
/// them are removed: a power cut could otherwise keep the removals alone.
fn sync_moved_back<D: Disk>(swapper: &Swapper<'_, '_, D>, intent: &Intent) -> Result<(), FsError> {
    let new_dirs: HashSet<RelPath> = intent.new_dirs.iter().cloned().collect();
    let mut synced = BTreeSet::new();
    for unit in &intent.units {
        let Action::Move { to, .. } = &unit.action else { continue };
        let is_new = lies_in(to, &new_dirs);
        if is_new && synced.insert(unit.slot.parent()) {
            swapper.cache.sync_parent(&unit.slot)?;
        }
    }
    Ok(())
}

/// Makes durable that files have left a directory before the directory leaves its path: their slots
/// lie outside of it, and a power cut could otherwise take the files with the directory, or leave
/// them in both.
fn sync_slots_of_cleared<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
) -> Result<(), FsError> {
    let cleared = intent.cleared_dirs();
    let has_left = |unit: &&Unit| unit.base().is_some() && lies_in(&unit.path, &cleared);
    let left: Vec<&Unit> = intent.units.iter().filter(has_left).collect();
    // The names that files were given come before the removal of those that they had.
    let names = left.iter().map(|unit| &unit.slot).chain(left.iter().map(|unit| &unit.path));
    let mut synced = BTreeSet::new();
    for name in names {
        if synced.insert(name.parent()) {
            // Where its directory has left already, recovery goes on from there.
            swapper.cache.sync_parent(name).if_there()?;
        }
    }
    Ok(())
}

/// Makes durable that paths are free which one unit leaves and another, or a new directory, takes:
/// on a file system that writes its directories in any order, what comes could otherwise survive
/// a power cut without the name that what goes was given.
fn sync_handed_over<D: Disk>(swapper: &Swapper<'_, '_, D>, intent: &Intent) -> Result<(), FsError> {
    let taken: BTreeSet<&RelPath> =
        intent.units.iter().filter_map(Unit::arrives_at).chain(&intent.new_dirs).collect();
    let handed_over = intent.units.iter().filter(|unit| unit.frees_path());
    let mut synced = BTreeSet::new();
    for path in handed_over.map(|unit| &unit.path).filter(|path| taken.contains(path)) {
        if synced.insert(path.parent()) {
            swapper.cache.sync_parent(path)?;
        }
    }
    Ok(())
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
