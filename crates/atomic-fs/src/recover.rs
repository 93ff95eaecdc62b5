//! Finishing or undoing what a dead process left.
//!
//! Every step inspects before it acts, so that a crash inside recovery, or a second
//! run of it, finds what it needs on the disk.

use std::collections::BTreeSet;
use std::io;

use crate::apply::Apply;
use crate::conflicts::{self, Kept};
use crate::disk::Disk;
use crate::error::{Conflict, FsError};
use crate::ground::Ground;
use crate::inspect::{Condition, inspect};
use crate::intent::{Action, Intent, Unit};
use crate::journal::{self, Found, Journal, Progress, Record};
use crate::move_aside;
use crate::mutants::mutant;
use crate::policy::Policy;
use crate::rel_path::RelPath;
use crate::sequence::{backward, forward};
use crate::swap::{Obstacle, Swapper};
use crate::tidy::{clean_slots, remove};

/// A set that recovery brought to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The set's id.
    pub set: String,
    /// How it ended.
    pub outcome: RecoveredOutcome,
    /// Files that a user edited meanwhile: their edits stand.
    pub edited: Vec<Conflict>,
    /// User's edits that could not be put back in place.
    pub kept: Vec<Kept>,
    /// Directories that a committed set made, outermost first.
    pub made_dirs: Vec<RelPath>,
}

/// How recovery ended a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveredOutcome {
    /// All of it is on disk, durably.
    Committed,
    /// None of it is.
    RolledBack,
}

/// Recovers every set that has a journal.
pub(crate) struct Recovery<'g, 'a, D: Disk> {
    pub ground: &'g Ground<'a, D>,
    pub journals: &'a D::Dir,
    pub policy: &'g Policy,
}

impl<D: Disk> Recovery<'_, '_, D> {
    pub(crate) fn run(
        &self,
        record: &mut dyn FnMut(&Recovered) -> io::Result<()>,
    ) -> Result<Vec<Recovered>, FsError> {
        let disk = self.ground.disk;
        let mut all = Vec::new();
        let names = journal::names(disk, self.journals)?;
        if !names.is_empty() {
            conflicts::remove_partial(self.ground)?;
        }
        for name in names {
            let Some((mut journal, found)) = Journal::open(disk, self.journals, &name)? else {
                // Torn before barrier 1: the set never began to swap.
                disk.remove_file(self.journals, &name)
                    .map_err(FsError::io("remove", String::from_utf8_lossy(&name)))?;
                continue;
            };
            let recovered = self.finish(&mut journal, &found)?;
            tracing::info!(set = %recovered.set, outcome = ?recovered.outcome, "recovered");
            record(&recovered).map_err(FsError::io("record the recovery of", &recovered.set))?;
            journal.remove(disk, self.journals)?;
            all.push(recovered);
        }
        Ok(all)
    }

    fn finish(&self, journal: &mut Journal<D>, found: &Found) -> Result<Recovered, FsError> {
        let intent = &found.intent;
        let disk = self.ground.disk;
        let swapper = Swapper::new(self.ground);
        let mut edited = Vec::new();
        let outcome = match found.progress {
            // Whoever wrote it may have been killed before it was durable.
            Progress::Committed => journal.sync(disk).map(|()| RecoveredOutcome::Committed)?,
            Progress::RolledBack => journal.sync(disk).map(|()| RecoveredOutcome::RolledBack)?,
            Progress::Undecided | Progress::Aborting => {
                let outcome = self.decide(&swapper, journal, found, &mut edited)?;
                if mutant!(RecoveryUnrecorded) {
                    clean_slots(&swapper, intent, false)?;
                }
                journal.append(
                    disk,
                    match outcome {
                        RecoveredOutcome::Committed => &Record::Committed,
                        RecoveredOutcome::RolledBack => &Record::RolledBack,
                    },
                )?;
                journal.sync(disk)?;
                outcome
            }
        };
        // A slot that is neither base nor staged, in a set that never began to swap, is
        // what the crash left of writing it.
        let torn = !found.swapped && outcome == RecoveredOutcome::RolledBack;
        clean_slots(&swapper, intent, torn)?;
        let kept = swapper.take_kept();
        let made_dirs = match outcome {
            RecoveredOutcome::Committed => intent.new_dirs.clone(),
            RecoveredOutcome::RolledBack => Vec::new(),
        };
        Ok(Recovered { set: intent.set.clone(), outcome, edited, kept, made_dirs })
    }

    /// Goes forward where every unit can, back otherwise. Durable on return.
    fn decide(
        &self,
        swapper: &Swapper<'_, '_, D>,
        journal: &mut Journal<D>,
        found: &Found,
        edited: &mut Vec<Conflict>,
    ) -> Result<RecoveredOutcome, FsError> {
        let intent = &found.intent;
        if !mutant!(SecondNamesKept) {
            self.drop_second_names(swapper, intent)?;
            if !mutant!(HalfReplacedForgotten) {
                move_aside::settle(self.ground, intent)?;
            }
        }
        let mut conditions = self.conditions(intent)?;
        let displaced: Vec<usize> = (0..intent.units.len())
            .filter(|index| conditions[*index] == Condition::Displaced)
            .filter(|_| !mutant!(DisplacedIgnored))
            .collect();
        for &index in &displaced {
            let unit = &intent.units[index];
            match &unit.action {
                Action::Replace { staged, .. } => swapper.put_back(unit, staged)?,
                _ => swapper.back_from_aside(unit, None)?,
            }
        }
        if !displaced.is_empty() {
            conditions = self.conditions(intent)?;
        }
        // Only the record says that a slot is finished and durable: before barrier 1 one can
        // have its content and mode and lack its owner and attributes.
        let can_go_on = |condition: &Condition| match condition {
            Condition::Done | Condition::Edited(_) => true,
            Condition::Waiting | Condition::HalfMoved => found.swapped || mutant!(RecoveryTooEager),
            _ => false,
        };
        // Swaps come after barrier 1, so a unit that is done says as much as the record.
        let has_swapped =
            found.swapped || conditions.contains(&Condition::Done) || mutant!(RecoveryTooEager);
        let can_finish = (found.progress != Progress::Aborting || mutant!(AbortIgnored))
            && displaced.is_empty()
            && has_swapped
            && conditions.iter().all(can_go_on);
        edited.extend(conditions.iter().filter_map(|condition| match condition {
            Condition::Conflict(conflict)
            | Condition::Blocked(conflict)
            | Condition::Edited(conflict) => Some(conflict.clone()),
            _ => None,
        }));
        let apply = self.apply();
        if can_finish {
            let is_done =
                |index: usize| matches!(conditions[index], Condition::Done | Condition::Edited(_));
            match forward(swapper, intent, &is_done) {
                Ok(()) => {
                    if !mutant!(RecoveryBarrierSkipped) {
                        apply.barrier_two(intent)?;
                    }
                    return Ok(RecoveredOutcome::Committed);
                }
                Err((_, Obstacle::Failed(error))) => return Err(error),
                Err((_, Obstacle::Conflict(conflict))) => edited.push(conflict),
            }
            conditions = self.conditions(intent)?;
        }
        // From here on the set must not be finished any more, whatever a crash leaves.
        journal.append(self.ground.disk, &Record::Abort)?;
        journal.sync(self.ground.disk)?;
        let touched: Vec<usize> = (0..intent.units.len())
            .filter(|index| match conditions[*index] {
                Condition::Done => true,
                Condition::HalfMoved | Condition::Blocked(_) => !mutant!(HalfMovesForgotten),
                _ => false,
            })
            .collect();
        edited.extend(backward(swapper, intent, &touched)?);
        if !mutant!(RecoveryBarrierSkipped) {
            apply.barrier_two(intent)?;
        }
        edited.dedup();
        Ok(RecoveredOutcome::RolledBack)
    }

    fn conditions(&self, intent: &Intent) -> Result<Vec<Condition>, FsError> {
        let freed: BTreeSet<&RelPath> =
            intent.units.iter().filter(|unit| unit.frees_path()).map(|unit| &unit.path).collect();
        intent
            .units
            .iter()
            .map(|unit| {
                inspect(self.ground, unit, &|path| {
                    Ok(freed.contains(path) && self.still_there(intent, path)?)
                })
            })
            .collect()
    }

    /// Whether the file at a path is still the one that the set takes away from it.
    fn still_there(&self, intent: &Intent, path: &RelPath) -> Result<bool, FsError> {
        for unit in intent.units.iter().filter(|unit| unit.frees_path() && unit.path == *path) {
            if self.ground.stat(&unit.slot)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A file system that writes its directories in any order can show both names of a
    /// rename after a power cut. One inode, one content: the extra name goes.
    fn drop_second_names(
        &self,
        swapper: &Swapper<'_, '_, D>,
        intent: &Intent,
    ) -> Result<(), FsError> {
        let ground = self.ground;
        for unit in &intent.units {
            let Action::Move { inode, to, .. } = &unit.action else { continue };
            let has = |path: &RelPath| {
                Ok::<_, FsError>(ground.stat(path)?.is_some_and(|stat| stat.inode == *inode))
            };
            let (at_path, in_slot, at_goal) = (has(&unit.path)?, has(&unit.slot)?, has(to)?);
            if in_slot && (at_path || at_goal) {
                ground.drop_name(&unit.slot, if at_goal { to } else { &unit.path })?;
            }
            if at_path && at_goal {
                self.drop_name(swapper, unit, to, *inode)?;
            }
        }
        Ok(())
    }

    /// Drops one of an inode's two names by way of the slot, so that a file that a user
    /// puts there in the same moment is moved, seen and given back, not unlinked.
    fn drop_name(
        &self,
        swapper: &Swapper<'_, '_, D>,
        unit: &Unit,
        name: &RelPath,
        inode: u64,
    ) -> Result<(), FsError> {
        let ground = self.ground;
        ground.rename_to_own(name, &unit.slot)?;
        if ground.stat(&unit.slot)?.is_some_and(|stat| stat.inode == inode) {
            return remove(ground, &unit.slot);
        }
        match ground.rename_own_to(&unit.slot, name) {
            Err(error) if error.is(io::ErrorKind::AlreadyExists) => swapper.keep(unit),
            answer => answer,
        }
    }

    fn apply(&self) -> Apply<'_, '_, D> {
        Apply { ground: self.ground, journals: self.journals, policy: self.policy }
    }
}
