//! Directories that somebody moved while a set was applied: what is in them may come back.

use crate::apply::intent::{Action, Unit};
use crate::conflict::{Conflict, Difference};
use crate::error::{FsError, IfThere as _};
use crate::os::disk::Disk;
use crate::recovery::condition::Condition;
use crate::recovery::inspect::Inspection;
use crate::rel_path::RelPath;

impl<D: Disk> Inspection<'_, '_, D> {
    /// For each unit, whether its file can be in a directory that was moved away.
    pub(crate) fn left_with_dir(&self, conditions: &[Condition]) -> Result<Vec<bool>, FsError> {
        let units = self.intent.units.iter().zip(conditions);
        units.map(|(unit, condition)| self.has_left_with_dir(unit, condition)).collect()
    }

    fn has_left_with_dir(&self, unit: &Unit, condition: &Condition) -> Result<bool, FsError> {
        let is_gone = match condition {
            Condition::Gone(_) => unit.frees_path(),
            Condition::Edited(conflict) => conflict.difference == Difference::Missing,
            _ => false,
        };
        let mut is_away = is_gone && self.is_away(&unit.path)?;
        if let (true, Action::Move { to, .. }) = (is_gone, &unit.action) {
            is_away |= self.is_away(to)?;
        }
        Ok(is_away)
    }

    /// Files that the set can have changed or brought, and that cannot be taken back, because they
    /// are in a directory that somebody has moved.
    pub(crate) fn arrived_away(&self) -> Result<Vec<Conflict>, FsError> {
        let mut away = Vec::new();
        for unit in &self.intent.units {
            let is_there = |path: &RelPath| Ok::<_, FsError>(self.cache.stat(path)?.is_some());
            let path = match &unit.action {
                Action::Replace { .. } | Action::SetMode { .. } => &unit.path,
                // What has a slot has not arrived.
                Action::Create { .. } | Action::Move { .. } if is_there(&unit.slot)? => continue,
                Action::Create { .. } => &unit.path,
                // It goes back the way that it came.
                Action::Move { to, .. } if is_there(to)? => &unit.path,
                Action::Move { to, .. } => to,
                Action::Delete { .. } | Action::RemoveDir { .. } => continue,
            };
            if !is_there(path)? && self.is_away(path)? {
                away.push(Conflict::at(path, Difference::DirectoryAway));
            }
        }
        Ok(away)
    }

    /// Whether the directory of a path, or the one that it was to be made in, is not the one that it
    /// was when the set was planned.
    fn is_away(&self, path: &RelPath) -> Result<bool, FsError> {
        let Some((dir, inode)) = self.lookup.known_dir(path) else { return Ok(false) };
        let Some(there) = self.cache.dir(Some(&dir)).if_there()? else { return Ok(true) };
        let there = self.cache.disk.identity(&there).map_err(FsError::io("look at", &dir))?;
        Ok(there.1 != inode)
    }
}
