//! Contradictions in a change set, found without the disk.

use std::collections::BTreeSet;

use crate::apply::slot_name::is_set_id;
use crate::change_set::{Change, ChangeSet, Expected, Operation};
use crate::error::FsError;
use crate::rel_path::RelPath;

/// Refuses a set that contradicts itself.
pub(crate) fn check_consistency(set: &ChangeSet) -> Result<(), FsError> {
    let bad = |reason: String| Err(FsError::BadChangeSet { reason });
    if !is_set_id(&set.id) {
        return bad(format!("`{}` is no id for a change set", set.id));
    }
    if set.changes.is_empty() {
        return bad("it has no changes".to_owned());
    }
    let mut from = BTreeSet::new();
    let mut to = BTreeSet::new();
    for change in &set.changes {
        // A file may leave a path for which another one is meant.
        if change.expected != Expected::Absent && !from.insert(&change.path) {
            return bad(format!("two changes concern `{}`", change.path));
        }
        if let (Operation::SetMode { .. }, Expected::Matches(base)) =
            (&change.operation, change.expected)
            && !base.kind.is_file()
        {
            return bad(format!("`{}` is a symbolic link, whose mode means nothing", change.path));
        }
        let arrives = change.arrives_at();
        if let Some(path) = arrives
            && !to.insert(path)
        {
            return bad(format!("two changes bring a file to `{path}`"));
        }
    }
    let stays = |change: &&Change| {
        !matches!(change.operation, Operation::Delete | Operation::Rename { .. })
            && matches!(change.expected, Expected::Matches(_))
    };
    for change in set.changes.iter().filter(stays) {
        if to.contains(&change.path) {
            return bad(format!("a change brings a file onto `{}`, which stays", change.path));
        }
    }
    let taken_away: BTreeSet<&RelPath> = set
        .changes
        .iter()
        .filter(|change| change.operation == Operation::RemoveDir)
        .map(|change| &change.path)
        .collect();
    for arriving in to {
        let mut above = arriving.parent();
        while let Some(dir) = above {
            if taken_away.contains(&dir) {
                return bad(format!("`{arriving}` comes into `{dir}`, which is to be removed"));
            }
            above = dir.parent();
        }
    }
    Ok(())
}
