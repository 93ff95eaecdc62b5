//! Whether a journal's intent is what the caller has approved, and names nothing but its own slots.

use std::collections::{HashMap, HashSet};

use crate::apply::intent::{Action, Intent, Unit, note_above};
use crate::apply::removed_dirs::RemovedDirs;
use crate::apply::slot_name::{REBUILT_MARKER, slot_name};
use crate::change_set::{Change, Expected, Operation};
use crate::rel_path::RelPath;

/// Whether every slot has a name that only this set's slots have, beside its file or in a
/// directory above it, and every directory to make is one of a file's.
pub(crate) fn has_own_slots(intent: &Intent, changes: Option<&[Change]>) -> bool {
    let is_above = |dir: Option<RelPath>, path: &RelPath| {
        dir.is_none_or(|dir| path.parent().is_some_and(|parent| parent.starts_with(&dir)))
    };
    let own = intent.units.iter().enumerate().all(|(number, unit)| {
        let name = unit.slot.file_name();
        let rebuilt = format!("{}{REBUILT_MARKER}", intent.set);
        let is_named = name == slot_name(&intent.set, number).as_bytes()
            || name == slot_name(&rebuilt, number).as_bytes();
        is_named && is_above(unit.slot.parent(), &unit.path)
    });
    if !own {
        return false;
    }
    let ends = intent.units.iter().filter_map(Unit::arrives_at);
    let leaving = intent.units.iter().filter(|unit| unit.frees_path()).map(|unit| &unit.path);
    let mut above_ends: HashSet<RelPath> = HashSet::new();
    for path in ends.chain(leaving) {
        note_above(path, &mut above_ends);
    }
    for change in changes.into_iter().flatten() {
        if matches!(change.operation, Operation::MakeDir { .. }) {
            note_above(&change.path, &mut above_ends);
            above_ends.insert(change.path.clone());
        }
    }
    let dirs = intent.new_dirs.iter().chain(intent.emptied.iter().map(|(dir, _)| dir));
    dirs.into_iter().all(|dir| above_ends.contains(dir) || changes.is_none())
}

/// Whether these are the changes that the intent makes, as far as they do not depend on the disk.
pub(crate) fn makes(intent: &Intent, changes: &[Change]) -> bool {
    let units: HashMap<(&RelPath, u8), &Action> =
        intent.units.iter().map(|unit| ((&unit.path, unit.action.kind()), &unit.action)).collect();
    let removed = RemovedDirs::of(changes);
    let mut expected = 0;
    let mut has = |path: &RelPath, action: &Action| {
        expected += 1;
        units.get(&(path, action.kind())).is_some_and(|found| found.is_alike(action))
    };
    let all = changes.iter().all(|change| {
        let path = &change.path;
        match (&change.operation, change.expected) {
            (Operation::Write(staged), Expected::Matches(base)) => {
                has(path, &Action::Replace { base, inode: 0, staged: *staged })
            }
            (Operation::Write(staged), Expected::Absent) => {
                has(path, &Action::Create { staged: *staged, like: None })
            }
            (Operation::Delete, Expected::Matches(base)) => has(path, &Action::Delete { base }),
            (Operation::SetMode { mode }, Expected::Matches(base)) => {
                has(path, &Action::SetMode { base, mode: *mode })
            }
            (Operation::Rename { to, staged }, Expected::Matches(base)) => {
                let moved = Action::Move { base, inode: 0, to: to.clone() };
                if units.contains_key(&(path, moved.kind())) {
                    return staged.is_none() && has(path, &moved);
                }
                let staged = staged.unwrap_or(base);
                let like = (staged.kind() == base.kind()).then(|| path.clone());
                has(path, &Action::Delete { base }) && has(to, &Action::Create { staged, like })
            }
            // A directory that was there already is not made.
            (Operation::MakeDir { .. }, Expected::Absent) => true,
            (Operation::RemoveDir, Expected::Directory { .. }) => removed.has_removed(path),
            _ => false,
        }
    });
    let cleared = removed.tops().all(|top| {
        let dirs = removed.at_or_below(top).map(|dir| (dir.clone(), None)).collect();
        has(top, &Action::RemoveDir { dirs })
    });
    all && cleared && expected == intent.units.len() && units.len() == intent.units.len()
}
