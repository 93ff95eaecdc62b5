//! What recovery decides, from what it has found and without a look at the disk.

use std::collections::HashSet;

use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::journal::{Found, Progress};
use crate::conflict::{Conflict, Difference};
use crate::recovery::condition::Condition;
use crate::recovery::restore::{Refill, Wanted};

/// A set's units, and what is known of how far they have come.
pub(crate) struct Decision<'d> {
    intent: &'d Intent,
    /// Whether every slot was finished and durable: only the record says so. Before barrier 1 one
    /// can have its content and mode and lack its owner and attributes.
    slots_are_durable: bool,
    /// Whether a swap can have been made.
    pub may_have_swapped: bool,
    /// Whether the set may be finished, as far as its history tells.
    pub may_finish: bool,
    /// For each unit, whether its file can be in a directory that was moved away.
    left_with_dir: Vec<bool>,
}

impl<'d> Decision<'d> {
    /// `was_displaced` says that a user's version was put back.
    pub(crate) fn new(
        found: &'d Found,
        conditions: &[Condition],
        was_displaced: bool,
        left_with_dir: Vec<bool>,
    ) -> Self {
        // Swaps come after barrier 1, so a unit that is done says as much as the record.
        let is_done = |it: &Condition| matches!(it, Condition::Done | Condition::DoneAlone);
        let has_swapped = found.swapped || conditions.iter().any(is_done);
        // Without a journal nothing says that nothing was.
        let may_have_swapped = has_swapped || found.is_rebuilt;
        let may_finish = has_swapped && !was_displaced && found.progress != Progress::Aborting;
        let (intent, slots_are_durable) = (&found.intent, found.swapped);
        Self { intent, slots_are_durable, may_have_swapped, may_finish, left_with_dir }
    }

    /// Whether every unit is finished or can be, once the `wanted` ones have their slots again.
    pub(crate) fn can_finish(&self, conditions: &[Condition], wanted: &[Wanted]) -> bool {
        let wanted: HashSet<usize> = wanted.iter().map(|(index, _)| *index).collect();
        let goes_on = |index: usize| {
            let condition = &conditions[index];
            wanted.contains(&index) || self.can_go_on(&self.intent.units[index], condition)
        };
        self.may_finish
            && (0..self.intent.units.len()).all(|at| !self.left_with_dir[at] && goes_on(at))
    }

    /// Whether nothing is left to do for a unit, or what is left can be done.
    fn can_go_on(&self, unit: &Unit, condition: &Condition) -> bool {
        match condition {
            Condition::Done | Condition::DoneAlone | Condition::Edited(_) => true,
            Condition::Waiting | Condition::HalfMoved => self.slots_are_durable,
            // A deletion is at its goal, a move is not.
            Condition::Gone(_) => matches!(unit.action, Action::Delete { .. }) || is_dir(unit),
            _ => false,
        }
    }

    /// The units whose new content is needed to go forward and is in no slot.
    pub(crate) fn staged_lost(&self, conditions: &[Condition]) -> Vec<Wanted> {
        let lost = |(index, condition): (usize, &Condition)| match condition {
            Condition::Bare => Some((index, Refill::Staged)),
            // The content of a file that moves is its old one.
            Condition::Gone(_) if self.moves(index) => Some((index, Refill::Base)),
            _ => None,
        };
        conditions.iter().enumerate().filter_map(lost).collect()
    }

    fn moves(&self, index: usize) -> bool {
        matches!(self.intent.units[index].action, Action::Move { .. })
    }

    /// The units whose old content is needed to go back and is in no slot. Where nothing was
    /// swapped, a file that is gone was taken away by a user.
    pub(crate) fn base_lost(&self, conditions: &[Condition]) -> Vec<Wanted> {
        let lost = |(index, condition): (usize, &Condition)| match condition {
            Condition::DoneAlone => Some((index, Refill::Base)),
            Condition::Gone(_) if is_dir(&self.intent.units[index]) => None,
            Condition::Gone(_) if self.may_have_swapped => Some((index, Refill::Base)),
            _ => None,
        };
        conditions.iter().enumerate().filter_map(lost).collect()
    }

    /// The files that a user edited.
    pub(crate) fn edited<'c>(
        &self,
        conditions: &'c [Condition],
        is_forward: bool,
    ) -> impl Iterator<Item = Conflict> + use<'c> {
        // Else it is restored, or in doubt.
        let gone_by_user = is_forward || !self.may_have_swapped;
        conditions.iter().filter_map(move |condition| match condition {
            Condition::Conflict(conflict)
            | Condition::Blocked(conflict)
            | Condition::Edited(conflict) => Some(conflict.clone()),
            Condition::Gone(conflict) if gone_by_user => Some(conflict.clone()),
            _ => None,
        })
    }

    /// The slots that something else has and that nothing can be done about.
    pub(crate) fn foreign_slots(&self, conditions: &[Condition]) -> Vec<Conflict> {
        let foreign = |(unit, condition): (&Unit, &Condition)| {
            let conflict = || Conflict::at(&unit.path, Difference::SlotTaken);
            (*condition == Condition::Foreign).then(conflict)
        };
        self.intent.units.iter().zip(conditions).filter_map(foreign).collect()
    }

    /// The units of which something is to be taken back.
    pub(crate) fn to_take_back(&self, conditions: &[Condition]) -> Vec<usize> {
        let is_touched = |index: &usize| match conditions[*index] {
            Condition::Done => true,
            // Nothing but what it had in it is lost with it, and that is brought back.
            Condition::Gone(_) if is_dir(&self.intent.units[*index]) => self.may_have_swapped,
            Condition::HalfMoved | Condition::Blocked(_) => true,
            _ => false,
        };
        (0..self.intent.units.len()).filter(is_touched).collect()
    }
}

/// Whether nothing is left to do for a unit, when the set goes forward.
pub(crate) fn is_finished(condition: &Condition) -> bool {
    use Condition::{Done, DoneAlone, Edited, Gone};
    matches!(condition, Done | DoneAlone | Gone(_) | Edited(_))
}

fn is_dir(unit: &Unit) -> bool {
    matches!(unit.action, Action::RemoveDir { .. })
}
