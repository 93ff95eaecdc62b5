//! Moving a change to where a reader expects it.
//!
//! Lines that come or go can often stand in several places: when a function is inserted, the brace
//! that ends it may be the new one or the one that was there. This picks the place as git does
//! with `diff.indentHeuristic`, by blank lines and indentation; the rules and weights are those of
//! git's `xdiff/xdiffi.c`, which were fitted to diffs that people rated.
//!
//! # Limitations
//!
//! Changes are not merged where one could slide into the next, and a change that has both old and
//! new lines stays where it is.

use std::ops::Range;

use crate::edit_script::{Change, EditScript};
use crate::lines::Lines;

/// Slides every change that only inserts or only deletes. The script stays right: each step swaps
/// two equal lines.
pub(crate) fn slide(script: &mut EditScript, old: &Lines<'_>, new: &Lines<'_>) {
    let count = script.changes().len();
    for at in 0..count {
        let changes = script.changes();
        let change = changes[at].clone();
        let (lines, moving, other) = if change.old.is_empty() {
            (new, &change.new, &change.old)
        } else if change.new.is_empty() {
            (old, &change.old, &change.new)
        } else {
            continue;
        };
        // One kept line stays between neighbours, so that no change runs into another.
        let room_up = match at.checked_sub(1) {
            Some(before) => change.old.start - changes[before].old.end - 1,
            None => change.old.start.min(change.new.start),
        };
        let room_down = match changes.get(at + 1) {
            Some(after) => after.old.start - change.old.end - 1,
            None => script.old_len() - change.old.end,
        };
        let Some(shift) = best_shift(lines, moving, room_up, room_down) else {
            continue;
        };
        let shifted = |range: &Range<u32>| {
            let moved = |bound: u32| bound.saturating_add_signed(shift);
            moved(range.start)..moved(range.end)
        };
        let (moving, other) = (shifted(moving), shifted(other));
        let change = if change.old.is_empty() {
            Change { old: other, new: moving }
        } else {
            Change { old: moving, new: other }
        };
        script.replace_change(at, change);
    }
}

/// How far the run moves down, or up where negative; none where it stays.
fn best_shift(lines: &Lines<'_>, run: &Range<u32>, room_up: u32, room_down: u32) -> Option<i32> {
    const SLIDE_MAX: u32 = 100;
    let line = |at: u32| lines.get(at as usize);
    let mut up = 0;
    while up < room_up.min(SLIDE_MAX) && line(run.start - up - 1) == line(run.end - up - 1) {
        up += 1;
    }
    let mut down = 0;
    while down < room_down.min(SLIDE_MAX) && line(run.start + down) == line(run.end + down) {
        down += 1;
    }
    if up == 0 && down == 0 {
        return None;
    }
    let mut best: Option<(i32, Score)> = None;
    for shift in -(up as i32)..=down as i32 {
        let mut score = Score::default();
        score.add(&Split::at(lines, run.end.saturating_add_signed(shift)));
        score.add(&Split::at(lines, run.start.saturating_add_signed(shift)));
        if best.as_ref().is_none_or(|(_, best)| score.is_no_worse_than(best)) {
            best = Some((shift, score));
        }
    }
    best.map(|(shift, _)| shift)
}

/// What surrounds a place between two lines. Indents are in columns; none is a blank line, or the
/// end of the file.
struct Split {
    at_end: bool,
    indent: Option<i32>,
    blanks_before: i32,
    indent_before: Option<i32>,
    blanks_after: i32,
    indent_after: Option<i32>,
}

impl Split {
    fn at(lines: &Lines<'_>, split: u32) -> Self {
        let split = split as usize;
        let (blanks_before, indent_before) = look((0..split).rev(), lines);
        let (blanks_after, indent_after) = look(split + 1..lines.len(), lines);
        let at_end = split >= lines.len();
        Self {
            at_end,
            indent: if at_end { None } else { indent_of(lines.get(split)) },
            blanks_before,
            indent_before,
            blanks_after,
            indent_after,
        }
    }
}

/// How many blank lines come first, and the indent of the line after them.
fn look(range: impl Iterator<Item = usize>, lines: &Lines<'_>) -> (i32, Option<i32>) {
    const BLANKS_MAX: i32 = 20;
    let mut blanks = 0;
    for at in range {
        if let Some(indent) = indent_of(lines.get(at)) {
            return (blanks, Some(indent));
        }
        blanks += 1;
        if blanks == BLANKS_MAX {
            return (blanks, Some(0));
        }
    }
    (blanks, None)
}

fn indent_of(line: &[u8]) -> Option<i32> {
    const INDENT_MAX: i32 = 200;
    const TAB_COLUMNS: i32 = 8;
    let mut indent = 0;
    for byte in line {
        match byte {
            b' ' => indent += 1,
            b'\t' => indent += TAB_COLUMNS - indent % TAB_COLUMNS,
            b'\n' | b'\r' | 0x0b | 0x0c => {}
            _ => return Some(indent),
        }
        if indent >= INDENT_MAX {
            return Some(INDENT_MAX);
        }
    }
    None
}

/// How ill two places at once suit a reader; less is better.
#[derive(Default)]
struct Score {
    indent: i32,
    penalty: i32,
}

impl Score {
    fn add(&mut self, split: &Split) {
        if split.indent_before.is_none() && split.blanks_before == 0 {
            self.penalty += 1;
        }
        if split.at_end {
            self.penalty += 21;
        }
        let blanks_after = match split.indent {
            None => 1 + split.blanks_after,
            Some(_) => 0,
        };
        let blanks = split.blanks_before + blanks_after;
        self.penalty += -30 * blanks + 6 * blanks_after;
        let indent = split.indent.or(split.indent_after);
        self.indent += indent.unwrap_or(-1);
        let (Some(indent), Some(before)) = (indent, split.indent_before) else {
            return;
        };
        let near_blank = blanks != 0;
        self.penalty += if indent > before {
            if near_blank { 10 } else { -4 }
        } else if indent == before {
            0
        } else if split.indent_after.is_some_and(|after| after > indent) {
            if near_blank { 17 } else { 24 }
        } else if near_blank {
            17
        } else {
            23
        };
    }

    fn is_no_worse_than(&self, other: &Self) -> bool {
        const INDENT_WEIGHT: i32 = 60;
        let indents = (self.indent - other.indent).signum();
        INDENT_WEIGHT * indents + self.penalty - other.penalty <= 0
    }
}
