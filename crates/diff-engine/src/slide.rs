//! Moves changes to where a reader expects them.
//!
//! An added or removed line can often be shown in several places: if a function is inserted, the
//! brace that ends it may be the new one or the old one. Changes that can be moved together become
//! one; a change that can be moved beside one of the other side is moved there; blank lines and
//! indentation decide about any other, as in git's `diff.indentHeuristic`. The rules and weights are
//! those of git's `xdiff/xdiffi.c`, which were fitted to diffs that people rated; see
//! [`indent`](self::indent).
//!
//! # Limitations
//!
//! The number of lines limits the cost of moving. If thousands of changes could each move over
//! thousands of lines, those at the end stay where they are; if there are too many to examine, all
//! do. The diff is marked as degraded then.

mod indent;

use crate::edit_script::{Change, EditScript};
use crate::intern::FilePair;
use crate::lines::Lines;
use indent::{SLIDE_MAX, Score, Split};

/// Slides the changes of both sides. The script stays valid: each step swaps two equal lines.
///
/// Returns whether every change was examined.
pub(crate) fn slide(script: &mut EditScript, FilePair { ids, old, new }: &FilePair<'_>) -> bool {
    let mut steps_left = 280_000 + (ids.old.len() + ids.new.len()) / 16;
    // Each group takes a step to see that it cannot go up and one to see that it cannot go down.
    let groups: usize = (script.changes().iter())
        .map(|change| usize::from(!change.old.is_empty()) + usize::from(!change.new.is_empty()))
        .sum();
    if groups == 0 || 2 * groups > steps_left {
        return groups == 0;
    }
    let changed = |len: usize| vec![false; len];
    let mut old = Side { ids: &ids.old, lines: old, changed: changed(ids.old.len()) };
    let mut new = Side { ids: &ids.new, lines: new, changed: changed(ids.new.len()) };
    for change in script.changes() {
        old.changed[change.old.start as usize..change.old.end as usize].fill(true);
        new.changed[change.new.start as usize..change.new.end as usize].fill(true);
    }
    let all = settle(&mut old, &new, &mut steps_left) && settle(&mut new, &old, &mut steps_left);
    script.set_changes(changes_of(&old.changed, &new.changed));
    all
}

/// One content and which of its lines are changed.
struct Side<'a> {
    ids: &'a [u32],
    lines: &'a Lines<'a>,
    changed: Vec<bool>,
}

/// The changed lines between two kept ones; none if `start` is `end`.
///
/// Both sides have equally many kept lines and so equally many groups, which correspond by their
/// number.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

impl Group {
    fn len(self) -> usize {
        self.end - self.start
    }

    fn is_empty(self) -> bool {
        self.start == self.end
    }
}

impl Side<'_> {
    fn first(&self) -> Group {
        Group { start: 0, end: self.end_from(0) }
    }

    fn next(&self, group: Group) -> Option<Group> {
        let start = group.end + 1;
        (group.end < self.ids.len()).then(|| Group { start, end: self.end_from(start) })
    }

    fn previous(&self, group: Group) -> Option<Group> {
        let end = group.start.checked_sub(1)?;
        Some(Group { start: self.start_from(end), end })
    }

    fn end_from(&self, at: usize) -> usize {
        at + self.changed[at..].iter().take_while(|changed| **changed).count()
    }

    fn start_from(&self, at: usize) -> usize {
        at - self.changed[..at].iter().rev().take_while(|changed| **changed).count()
    }

    /// Moves a group up by one line if that changes nothing, and joins it with one that it meets.
    fn slide_up(&mut self, group: &mut Group) -> bool {
        let Group { start, end } = *group;
        if start == 0 || self.ids[start - 1] != self.ids[end - 1] {
            return false;
        }
        self.changed[start - 1] = true;
        self.changed[end - 1] = false;
        *group = Group { start: self.start_from(start - 1), end: end - 1 };
        true
    }

    /// Moves a group down by one line if that changes nothing, and joins it with one that it meets.
    fn slide_down(&mut self, group: &mut Group) -> bool {
        let Group { start, end } = *group;
        if end == self.ids.len() || self.ids[start] != self.ids[end] {
            return false;
        }
        self.changed[start] = false;
        self.changed[end] = true;
        *group = Group { start: start + 1, end: self.end_from(end + 1) };
        true
    }
}

/// The group that is moved and the one of the other side that has its number.
struct Pair<'s, 'a> {
    side: &'s mut Side<'a>,
    other: &'s Side<'a>,
    group: Group,
    other_group: Group,
    steps_left: &'s mut usize,
}

impl Pair<'_, '_> {
    fn slide_up(&mut self) -> bool {
        let slid = *self.steps_left > 0 && self.side.slide_up(&mut self.group);
        if slid && let Some(previous) = self.other.previous(self.other_group) {
            self.other_group = previous;
        }
        self.pay();
        slid
    }

    fn slide_down(&mut self) -> bool {
        let slid = *self.steps_left > 0 && self.side.slide_down(&mut self.group);
        if slid && let Some(next) = self.other.next(self.other_group) {
            self.other_group = next;
        }
        self.pay();
        slid
    }

    /// One step, or more if the other side's group is long, because its ends have to be found.
    fn pay(&mut self) {
        const LINES_FOR_A_STEP: usize = 16;
        let steps = 1 + self.other_group.len() / LINES_FOR_A_STEP;
        *self.steps_left = self.steps_left.saturating_sub(steps);
    }

    fn next(&mut self) -> bool {
        let next = (self.side.next(self.group), self.other.next(self.other_group));
        let (Some(group), Some(other_group)) = next else {
            return false;
        };
        (self.group, self.other_group) = (group, other_group);
        true
    }
}

/// Moves every group of `side` to its best location; returns whether the steps were enough.
fn settle<'a>(side: &mut Side<'a>, other: &Side<'a>, steps_left: &mut usize) -> bool {
    let (group, other_group) = (side.first(), other.first());
    let mut pair = Pair { side, other, group, other_group, steps_left };
    loop {
        if !pair.group.is_empty() {
            settle_one(&mut pair);
            if *pair.steps_left == 0 {
                return false;
            }
        }
        if !pair.next() {
            return true;
        }
    }
}

/// Moves one group to its best location.
fn settle_one(pair: &mut Pair<'_, '_>) {
    let (highest_end, beside_other) = loop {
        let len = pair.group.len();
        while pair.slide_up() {}
        let highest_end = pair.group.end;
        let mut beside_other = !pair.other_group.is_empty();
        while pair.slide_down() {
            beside_other |= !pair.other_group.is_empty();
        }
        // A group that has met another may go further now.
        if pair.group.len() == len {
            break (highest_end, beside_other);
        }
    };
    // It is as far down as it can be, so what follows only moves it up.
    if pair.group.end == highest_end {
        return;
    }
    if beside_other {
        while pair.other_group.is_empty() && pair.slide_up() {}
        return;
    }
    let (best_end, steps) = best_end(pair.side.lines, pair.group, highest_end);
    *pair.steps_left = pair.steps_left.saturating_sub(steps);
    while pair.group.end > best_end && pair.slide_up() {}
}

/// The best end for a group that can end anywhere from `highest_end` to its current end, and the steps
/// that finding it took.
fn best_end(lines: &Lines<'_>, group: Group, highest_end: usize) -> (usize, usize) {
    /// The cost of examining one location, in steps of a slide.
    const STEPS_TO_LOOK: usize = 16;
    let first = highest_end
        .max(group.end.saturating_sub(group.len() + 1))
        .max(group.end.saturating_sub(SLIDE_MAX));
    let mut best: Option<(usize, Score)> = None;
    for end in first..=group.end {
        let mut score = Score::default();
        score.add(&Split::at(lines, end));
        score.add(&Split::at(lines, end - group.len()));
        if best.as_ref().is_none_or(|(_, best)| score.is_no_worse_than(best)) {
            best = Some((end, score));
        }
    }
    let looks = (group.end + 1 - first) * STEPS_TO_LOOK;
    (best.map_or(group.end, |(end, _)| end), looks)
}

/// The changed regions, from the changed lines.
fn changes_of(old: &[bool], new: &[bool]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut old_at, mut new_at) = (0, 0);
    loop {
        let both = old[old_at..].iter().zip(&new[new_at..]);
        let kept = both.take_while(|(goes, comes)| !**goes && !**comes).count();
        (old_at, new_at) = (old_at + kept, new_at + kept);
        let run = |changed: &[bool]| changed.iter().take_while(|changed| **changed).count();
        let (goes, comes) = (run(&old[old_at..]), run(&new[new_at..]));
        if goes + comes == 0 {
            return changes;
        }
        changes.push(Change {
            old: old_at as u32..(old_at + goes) as u32,
            new: new_at as u32..(new_at + comes) as u32,
        });
        (old_at, new_at) = (old_at + goes, new_at + comes);
    }
}
