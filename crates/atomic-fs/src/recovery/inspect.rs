//! What recovery looks at: where every unit of a set is, told from the disk alone.
//!
//! Recovery never trusts what a dead process meant to do: the slot and the file say
//! what it did. The table in docs/design.md argues each row.

use crate::apply::clear_dir::holds_others;
use crate::apply::intent::{Action, DirBelow, Intent, Unit};
use crate::apply::journal::Found;
use crate::apply::lookup::Lookup;
use crate::conflict::{Conflict, Difference};
use crate::content::{EntryKind, Fingerprint};
use crate::error::FsError;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::file_state::FileState;
use crate::recovery::condition::Condition;
use crate::rel_path::RelPath;

/// A set whose units are looked at.
pub(crate) struct Inspection<'s, 'a, D: Disk> {
    pub cache: &'s DirCache<'a, D>,
    pub intent: &'s Intent,
    pub lookup: Lookup<'s>,
    /// Whether files were moved aside for their slots.
    moved_aside: bool,
}

/// A unit, and what its two names hold.
struct Snapshot<'u> {
    unit: &'u Unit,
    slot: FileState,
    file: FileState,
}

impl<'s, 'a, D: Disk> Inspection<'s, 'a, D> {
    pub(crate) fn new(cache: &'s DirCache<'a, D>, found: &'s Found) -> Self {
        let (intent, moved_aside) = (&found.intent, found.moved_aside);
        Self { cache, intent, lookup: Lookup::new(intent), moved_aside }
    }

    /// Where every unit is, in their order.
    pub(crate) fn conditions(&self) -> Result<Vec<Condition>, FsError> {
        self.intent.units.iter().map(|unit| self.condition(unit)).collect()
    }

    fn condition(&self, unit: &Unit) -> Result<Condition, FsError> {
        let slot = self.cache.file_state(&unit.slot)?;
        let file = self.cache.file_state(&unit.path)?;
        let now = Snapshot { unit, slot, file };
        let may_hold_dir = matches!(unit.action, Action::SetMode { .. } | Action::RemoveDir { .. });
        let is_others = match slot.content() {
            // A link comes into no slot of a set that has none at this path.
            Some((EntryKind::Symlink, _)) => !unit.has_link(),
            Some(_) => false,
            None => slot != FileState::Absent,
        };
        if is_others && !may_hold_dir {
            return Ok(Condition::Foreign);
        }
        match &unit.action {
            Action::Replace { base, staged, .. } => Ok(self.replacement(now, base, staged)),
            Action::Create { staged, .. } => self.creation(now, staged),
            Action::Delete { base } => self.deletion(now, base),
            Action::Move { base, inode, to } => self.movement(now, base, *inode, to),
            Action::RemoveDir { dirs } => self.removal(now, dirs),
            // Edited on top or not: the permission bits are the new ones.
            Action::SetMode { base, mode } => Ok(match (&file, file.difference(base)) {
                (_, None) => Condition::Waiting,
                (FileState::File { stat, .. }, _) if stat.mode == *mode => Condition::Done,
                (_, Some(difference)) => edited(&unit.path, difference),
            }),
        }
    }

    fn replacement(
        &self,
        Snapshot { unit, slot, file }: Snapshot<'_>,
        base: &Fingerprint,
        staged: &Fingerprint,
    ) -> Condition {
        let waiting = |otherwise| match file.difference(base) {
            None => otherwise,
            Some(difference) => conflict(&unit.path, difference),
        };
        // Where two names are exchanged in steps, the file was aside for a moment.
        let is_at_slot = slot == FileState::Absent || slot.matches(staged);
        if file == FileState::Absent && self.moved_aside && is_at_slot {
            gone(&unit.path)
        } else if slot.matches(staged) {
            waiting(Condition::Waiting)
        } else if slot.matches(base) {
            Condition::Done
        } else if file.is_arrived(staged, unit.stamp) {
            // The slot is gone only once the outcome is durable, unless something else
            // removed it.
            if slot == FileState::Absent { Condition::DoneAlone } else { Condition::Displaced }
        } else if slot == FileState::Absent {
            waiting(Condition::Bare)
        } else {
            Condition::Unprepared
        }
    }

    fn creation(
        &self,
        Snapshot { unit, slot, file }: Snapshot<'_>,
        staged: &Fingerprint,
    ) -> Result<Condition, FsError> {
        if slot.matches(staged) {
            return self.arrival(slot, file, &unit.path);
        }
        if slot != FileState::Absent {
            // Where the slot became the file, another's file has the slot's name now.
            let has_arrived = file.is_arrived(staged, unit.stamp);
            return Ok(if has_arrived { Condition::Foreign } else { Condition::Unprepared });
        }
        Ok(match file.difference(staged) {
            // By the set or by a user: taking back finds out which.
            None => Condition::Done,
            // Removed by the user, or never arrived.
            Some(Difference::Missing) => Condition::Bare,
            // What is there is still to make way.
            Some(_) if self.still_there(&unit.path)? => Condition::Bare,
            Some(difference) => edited(&unit.path, difference),
        })
    }

    fn deletion(
        &self,
        Snapshot { unit, slot, file }: Snapshot<'_>,
        base: &Fingerprint,
    ) -> Result<Condition, FsError> {
        if slot.matches(base) {
            return Ok(Condition::Done);
        }
        if slot != FileState::Absent {
            return Ok(Condition::Displaced);
        }
        Ok(match file.difference(base) {
            _ if self.is_brought(&unit.path, file)? => gone(&unit.path),
            None => Condition::Waiting,
            Some(Difference::Missing) => gone(&unit.path),
            Some(difference) => conflict(&unit.path, difference),
        })
    }

    fn movement(
        &self,
        Snapshot { unit, slot, file }: Snapshot<'_>,
        base: &Fingerprint,
        inode: u64,
        to: &RelPath,
    ) -> Result<Condition, FsError> {
        let goal = self.cache.file_state(to)?;
        let arrived = goal.inode().is_some_and(|(_, goal)| goal == inode)
            || (slot == FileState::Absent
                && has_left(file, base, inode)
                && goal.matches(base)
                && !self.is_to_leave(to, goal)?);
        if arrived && slot != FileState::Absent && slot.inode() != goal.inode() {
            return Ok(Condition::Foreign);
        }
        if arrived {
            return Ok(Condition::Done);
        }
        if slot.matches(base) {
            return Ok(match self.arrival(slot, goal, to)? {
                Condition::Waiting => Condition::HalfMoved,
                Condition::Conflict(conflict) => Condition::Blocked(conflict),
                other => other,
            });
        }
        if slot != FileState::Absent {
            return Ok(Condition::Displaced);
        }
        let is_absent = file == FileState::Absent || self.is_brought(&unit.path, file)?;
        // What leaves the goal leaves it before anything arrives there.
        let is_goal_ahead = goal == FileState::Absent || self.is_to_leave(to, goal)?;
        Ok(match file.difference(base) {
            _ if is_absent && is_goal_ahead => gone(to),
            None => self.arrival(file, goal, to)?,
            // It arrived, and the user went on from there, or took it away first.
            Some(Difference::Missing) => edited(to, Difference::Missing),
            // Both are another's: the set's own next file, or a user's.
            Some(_) if !is_goal_ahead => edited(to, Difference::Content),
            Some(difference) => conflict(&unit.path, difference),
        })
    }

    fn removal(
        &self,
        Snapshot { unit, slot, file }: Snapshot<'_>,
        dirs: &[DirBelow],
    ) -> Result<Condition, FsError> {
        if slot.is_directory() {
            let holds_others = holds_others(self.cache, &unit.slot, &unit.path, dirs)?;
            return Ok(match holds_others {
                Some(true) => Condition::Displaced,
                _ => Condition::Done,
            });
        }
        if slot != FileState::Absent {
            return Ok(Condition::Foreign);
        }
        if file.is_directory() {
            return Ok(Condition::Waiting);
        }
        if file == FileState::Absent || self.is_brought(&unit.path, file)? {
            return Ok(gone(&unit.path));
        }
        Ok(conflict(&unit.path, Difference::Kind))
    }

    /// Whether what is on its way can arrive at a path.
    fn arrival(
        &self,
        coming: FileState,
        there: FileState,
        path: &RelPath,
    ) -> Result<Condition, FsError> {
        Ok(match there {
            FileState::Absent => Condition::Waiting,
            // A power cut can leave both names of one rename on a file system that
            // writes its directories in any order.
            FileState::File { .. } if there.inode() == coming.inode() => Condition::Done,
            _ if self.still_there(path)? => Condition::Waiting,
            _ => conflict(path, Difference::Exists),
        })
    }

    /// Whether the file at a path is still the one that the set takes away from it.
    fn still_there(&self, path: &RelPath) -> Result<bool, FsError> {
        for unit in self.lookup.leaving(path) {
            if self.cache.stat(&unit.slot)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the set has brought what is at a path: a unit's file, or a directory for one.
    fn is_brought(&self, path: &RelPath, state: FileState) -> Result<bool, FsError> {
        if state.is_directory() {
            return Ok(self.lookup.is_new_dir(path));
        }
        for unit in self.lookup.arriving(path) {
            let is_it = match &unit.action {
                Action::Create { staged, .. } => state.is_arrived(staged, unit.stamp),
                // A file that recovery wrote anew has another number.
                Action::Move { base, inode, .. } => {
                    state.inode().is_some_and(|(_, now)| now == *inode)
                        || (state.matches(base)
                            && has_left(self.cache.file_state(&unit.path)?, base, *inode)
                            && self.cache.stat(&unit.slot)?.is_none())
                }
                _ => false,
            };
            if is_it {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this is still the very file that the set takes away from a path. Its slot being
    /// absent does not tell: a file that has moved has left it.
    fn is_to_leave(&self, path: &RelPath, state: FileState) -> Result<bool, FsError> {
        let is_it = |unit: &Unit| match unit.base() {
            Some(base) => state.matches(&base),
            // A directory that is still to make way.
            None => state.is_directory(),
        };
        for unit in self.lookup.leaving(path).iter().filter(|unit| is_it(unit)) {
            if self.cache.stat(&unit.slot)?.is_none() && !self.is_brought(path, state)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether what is at the path of a file that moves shows that the file has left it. Where the
/// file's number is unknown, another content does.
fn has_left(file: FileState, base: &Fingerprint, inode: u64) -> bool {
    file == FileState::Absent || (inode == 0 && !file.matches(base))
}

fn conflict(path: &RelPath, difference: Difference) -> Condition {
    Condition::Conflict(Conflict::at(path, difference))
}

fn edited(path: &RelPath, difference: Difference) -> Condition {
    Condition::Edited(Conflict::at(path, difference))
}

fn gone(path: &RelPath) -> Condition {
    Condition::Gone(Conflict::at(path, Difference::Missing))
}
