//! Where a unit stands, told from the disk alone.
//!
//! Recovery never trusts what a dead process meant to do: the slot and the file say
//! what it did. The table in docs/design.md argues each row.

use crate::apply::clear_dir::holds_others;
use crate::apply::intent::{Action, Unit};
use crate::content::{ContentKind, Fingerprint};
use crate::error::{Conflict, Difference, FsError};
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::file_state::FileState;
use crate::rel_path::RelPath;

/// How far a unit has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing is done and everything is ready.
    Waiting,
    /// A move whose file is in the slot.
    HalfMoved,
    /// The same, and its goal is taken.
    Blocked(Conflict),
    /// Done, and undoable.
    Done,
    /// A replacement that is done, and whose slot with the old content is gone.
    DoneAlone,
    /// Nothing is done and the slot is torn: only going back is possible.
    Unprepared,
    /// Nothing is done and the slot is gone; it can be written again.
    Bare,
    /// What was to be taken away is neither at its path nor in the slot, nor at the goal: the user
    /// took it away, or the set did and something removed the slot.
    Gone(Conflict),
    /// Something that the set has not put there has the slot's name.
    Foreign,
    /// The slot holds a user's version that an exchange or a move took out.
    Displaced,
    /// Nothing is done and the file is not what is expected.
    Conflict(Conflict),
    /// The user went on from here so that nothing is left to do, or to take back.
    Edited(Conflict),
}

/// Looks at a unit's slot and file. `moved_aside` says that files were moved aside for their slots.
/// `will_be_free` tells whether another unit of the
/// set takes away what is at a path, `is_brought` whether the set has brought it there, and
/// `is_to_leave` whether it is still the very file that another unit takes away.
#[allow(clippy::too_many_lines, reason = "one table of what a slot and a file can hold")]
pub(crate) fn inspect<D: Disk>(
    cache: &DirCache<'_, D>,
    unit: &Unit,
    moved_aside: bool,
    will_be_free: &dyn Fn(&RelPath) -> Result<bool, FsError>,
    is_brought: &dyn Fn(&RelPath, &FileState) -> Result<bool, FsError>,
    is_to_leave: &dyn Fn(&RelPath, &FileState) -> Result<bool, FsError>,
) -> Result<Condition, FsError> {
    let slot = cache.file_state(&unit.slot)?;
    let file = cache.file_state(&unit.path)?;
    let conflict = |path: &RelPath, difference| {
        Condition::Conflict(Conflict { path: path.clone(), difference })
    };
    let edited =
        |path: &RelPath, difference| Condition::Edited(Conflict { path: path.clone(), difference });
    let may_hold_dir = matches!(unit.action, Action::SetMode { .. } | Action::RemoveDir { .. });
    let is_others = match slot.content() {
        // A link comes into no slot of a set that has none at this path.
        Some((ContentKind::Symlink, _)) => !unit.has_link(),
        Some(_) => false,
        None => slot != FileState::Absent,
    };
    if is_others && !may_hold_dir {
        return Ok(Condition::Foreign);
    }
    let gone = |path: &RelPath| {
        Condition::Gone(Conflict { path: path.clone(), difference: Difference::Missing })
    };
    Ok(match &unit.action {
        Action::Replace { base, staged, .. } => {
            // Where two names are exchanged in steps, the file was aside for a moment.
            let is_at_slot = slot == FileState::Absent || slot.matches(staged);
            if file == FileState::Absent && moved_aside && is_at_slot {
                gone(&unit.path)
            } else if slot.matches(staged) {
                match file.difference(base) {
                    None => Condition::Waiting,
                    Some(difference) => conflict(&unit.path, difference),
                }
            } else if slot.matches(base) {
                Condition::Done
            } else if file.is_arrived(staged, unit.stamp) {
                // The slot is gone only once the outcome is durable, unless something else
                // removed it.
                if slot == FileState::Absent { Condition::DoneAlone } else { Condition::Displaced }
            } else if slot == FileState::Absent {
                match file.difference(base) {
                    None => Condition::Bare,
                    Some(difference) => conflict(&unit.path, difference),
                }
            } else {
                Condition::Unprepared
            }
        }
        Action::Create { staged, .. } => {
            if slot.matches(staged) {
                arrival(&slot, &file, &unit.path, will_be_free)?
            } else if slot != FileState::Absent && file.is_arrived(staged, unit.stamp) {
                // The slot became the file: another's has its name now.
                Condition::Foreign
            } else if slot != FileState::Absent {
                Condition::Unprepared
            } else {
                match file.difference(staged) {
                    // By whosever hand: taking back looks whose it is.
                    None => Condition::Done,
                    // Removed by the user, or never arrived.
                    Some(Difference::Missing) => Condition::Bare,
                    // What is there is still to make way.
                    Some(_) if will_be_free(&unit.path)? => Condition::Bare,
                    Some(difference) => edited(&unit.path, difference),
                }
            }
        }
        Action::Delete { base } => {
            if slot.matches(base) {
                Condition::Done
            } else if slot != FileState::Absent {
                Condition::Displaced
            } else {
                match file.difference(base) {
                    _ if is_brought(&unit.path, &file)? => gone(&unit.path),
                    None => Condition::Waiting,
                    Some(Difference::Missing) => gone(&unit.path),
                    Some(difference) => conflict(&unit.path, difference),
                }
            }
        }
        Action::Move { base, inode, to } => {
            let goal = cache.file_state(to)?;
            let arrived = goal.inode().is_some_and(|(_, goal)| goal == *inode)
                || (slot == FileState::Absent
                    && has_left(&file, base, *inode)
                    && goal.matches(base)
                    && !is_to_leave(to, &goal)?);
            if arrived && slot != FileState::Absent && slot.inode() != goal.inode() {
                Condition::Foreign
            } else if arrived {
                Condition::Done
            } else if slot.matches(base) {
                match arrival(&slot, &goal, to, will_be_free)? {
                    Condition::Waiting => Condition::HalfMoved,
                    Condition::Conflict(conflict) => Condition::Blocked(conflict),
                    other => other,
                }
            } else if slot != FileState::Absent {
                Condition::Displaced
            } else {
                let is_absent = file == FileState::Absent || is_brought(&unit.path, &file)?;
                // What leaves the goal leaves it before anything arrives there.
                let is_goal_ahead = goal == FileState::Absent || is_to_leave(to, &goal)?;
                match file.difference(base) {
                    _ if is_absent && is_goal_ahead => gone(to),
                    None => arrival(&file, &goal, to, will_be_free)?,
                    // It arrived, and the user went on from there, or took it away first.
                    Some(Difference::Missing) => edited(to, Difference::Missing),
                    // Both are another's: the set's own next file, or a user's.
                    Some(_) if !is_goal_ahead => edited(to, Difference::Content),
                    Some(difference) => conflict(&unit.path, difference),
                }
            }
        }
        Action::RemoveDir { dirs } => {
            if slot.is_directory() {
                match holds_others(cache, &unit.slot, &unit.path, dirs)? {
                    Some(true) => Condition::Displaced,
                    _ => Condition::Done,
                }
            } else if slot != FileState::Absent {
                Condition::Foreign
            } else if file.is_directory() {
                Condition::Waiting
            } else if file == FileState::Absent || is_brought(&unit.path, &file)? {
                gone(&unit.path)
            } else {
                conflict(&unit.path, Difference::Kind)
            }
        }
        Action::SetMode { base, mode } => {
            match (&file, file.difference(base)) {
                (_, None) => Condition::Waiting,
                // Edited on top or not: the permission bits are the new ones.
                (FileState::File { stat, .. }, _) if stat.mode == *mode => Condition::Done,
                (_, Some(difference)) => edited(&unit.path, difference),
            }
        }
    })
}

/// Whether what is at the path of a file that moves shows that it is there no more. Where the
/// file's number is unknown, another content does.
pub(crate) fn has_left(file: &FileState, base: &Fingerprint, inode: u64) -> bool {
    *file == FileState::Absent || (inode == 0 && !file.matches(base))
}

/// Whether what is on its way can arrive at a path.
fn arrival(
    coming: &FileState,
    there: &FileState,
    path: &RelPath,
    will_be_free: &dyn Fn(&RelPath) -> Result<bool, FsError>,
) -> Result<Condition, FsError> {
    Ok(match there {
        FileState::Absent => Condition::Waiting,
        // A power cut can leave both names of one rename on a file system that
        // writes its directories in any order.
        FileState::File { .. } if there.inode() == coming.inode() => Condition::Done,
        _ if will_be_free(path)? => Condition::Waiting,
        _ => Condition::Conflict(Conflict { path: path.clone(), difference: Difference::Exists }),
    })
}
