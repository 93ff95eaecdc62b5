//! Contradictions in a change set, found without the disk.

use std::collections::BTreeSet;

use crate::apply::slot_name::is_set_id;
use crate::change_set::{Change, ChangeSet, Expected, Operation};
use crate::contradiction::Contradiction;
use crate::error::FsError;
use crate::rel_path::RelPath;

/// Refuses a set that contradicts itself.
pub(crate) fn check_consistency(set: &ChangeSet) -> Result<(), FsError> {
    if !is_set_id(&set.id) {
        return Err(Contradiction::Id { id: set.id.clone() }.into());
    }
    if set.changes.is_empty() {
        return Err(Contradiction::Empty.into());
    }
    let mut from = BTreeSet::new();
    let mut to = BTreeSet::new();
    for change in &set.changes {
        // A file may leave a path for which another one is meant.
        if change.expected != Expected::Absent && !from.insert(&change.path) {
            return Err(Contradiction::TwoChanges { path: change.path.clone() }.into());
        }
        if let (Operation::SetMode { .. }, Expected::Matches(base)) =
            (&change.operation, change.expected)
            && !base.is_file()
        {
            return Err(Contradiction::ModeOfLink { path: change.path.clone() }.into());
        }
        let arrives = change.arrives_at();
        if let Some(path) = arrives
            && !to.insert(path)
        {
            return Err(Contradiction::TwoArrivals { path: path.clone() }.into());
        }
    }
    let stays = |change: &&Change| {
        !matches!(change.operation, Operation::Delete | Operation::Rename { .. })
            && matches!(change.expected, Expected::Matches(_))
    };
    for change in set.changes.iter().filter(stays) {
        if to.contains(&change.path) {
            return Err(Contradiction::ArrivesAtFile { path: change.path.clone() }.into());
        }
    }
    let taken_away: BTreeSet<&RelPath> = set
        .changes
        .iter()
        .filter(|change| change.operation == Operation::RemoveDir)
        .map(|change| &change.path)
        .collect();
    for arriving in to {
        if let Some(dir) = arriving.dirs_above().find(|dir| taken_away.contains(dir)) {
            return Err(Contradiction::ArrivesInRemoved { path: arriving.clone(), dir }.into());
        }
    }
    Ok(())
}
