//! Merges two changes of one content, line by line, if they do not touch.
//!
//! The classical three-way merge (Khanna, Kunal, Pierce: A Formal Investigation of
//! Diff3, 2007), on the scripts that the engine compares with anyway: it is bounded as
//! they are, and works on bytes. Two changes touch when they concern a common line of
//! the base, or lines next to each other; then only equal ones are merged.

use std::ops::Range;

use crate::content::Side;
use crate::edit_script::{Change, EditScript};
use crate::engine::DiffEngine;
use crate::lines::Lines;

/// The result of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Both changes, in one content.
    Merged(Vec<u8>),
    /// The places in which the two touch, in order.
    Conflicts(Vec<MergeConflict>),
    /// A content is binary or over the limit, so that lines mean nothing.
    NotCompared,
}

/// Lines that both sides changed differently. All are counted from 0; an empty range is before its
/// line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeConflict {
    /// Of the base.
    pub base: Range<u32>,
    /// Of one side.
    pub ours: Range<u32>,
    /// Of the other.
    pub theirs: Range<u32>,
}

impl DiffEngine {
    /// Merges two changed versions of a base.
    pub fn merge(&self, base: &[u8], ours: &[u8], theirs: &[u8]) -> Merge {
        let script = |side: &[u8]| self.diff(Side::Text(base), Side::Text(side)).script;
        let (Some(our_script), Some(their_script)) = (script(ours), script(theirs)) else {
            return Merge::NotCompared;
        };
        let lines = [base, ours, theirs].map(Lines::of);
        merge(&lines, &our_script, &their_script)
    }
}

/// One side's changes, from the first one that is not taken yet.
struct Rest<'s> {
    changes: &'s [Change],
    /// How much further down the side is than the base.
    offset: i64,
}

impl Rest<'_> {
    fn next_start(&self) -> Option<u32> {
        self.changes.first().map(|change| change.old.start)
    }

    /// Takes the next change if it touches lines up to `end`; where it ends.
    fn take_touching(&mut self, end: u32) -> Option<u32> {
        let (change, rest) = self.changes.split_first()?;
        if change.old.start > end {
            return None;
        }
        self.changes = rest;
        self.offset += i64::from(change.new.end - change.new.start)
            - i64::from(change.old.end - change.old.start);
        Some(change.old.end)
    }

    /// Where a line of the base lies in the side.
    fn at(&self, line: u32) -> u32 {
        u32::try_from(i64::from(line) + self.offset).expect("a checked script stays in its side")
    }
}

fn merge([base, ours, theirs]: &[Lines<'_>; 3], our: &EditScript, their: &EditScript) -> Merge {
    let mut rests = [our, their].map(|script| Rest { changes: script.changes(), offset: 0 });
    let mut merged = Vec::with_capacity(ours.bytes().len().max(theirs.bytes().len()));
    let mut conflicts = Vec::new();
    let mut kept_from = 0;
    loop {
        let starts = [rests[0].next_start(), rests[1].next_start()];
        let Some(start) = starts.into_iter().flatten().min() else { break };
        let from = [rests[0].at(start), rests[1].at(start)];
        let (mut end, mut touched) = (start, [false; 2]);
        // Grows until nothing more of either side touches it.
        loop {
            let before = touched;
            let mut grown = false;
            for side in 0..2 {
                while let Some(to) = rests[side].take_touching(end) {
                    grown |= to > end || !before[side];
                    end = end.max(to);
                    touched[side] = true;
                }
            }
            if !grown {
                break;
            }
        }
        let to = [rests[0].at(end), rests[1].at(end)];
        let range = |lines: &Lines<'_>, side: usize| -> Vec<u8> {
            lines.range(from[side] as usize, to[side] as usize).to_vec()
        };
        let sides = [range(ours, 0), range(theirs, 1)];
        merged.extend_from_slice(base.range(kept_from as usize, start as usize));
        kept_from = end;
        match touched {
            [true, true] if sides[0] != sides[1] => conflicts.push(MergeConflict {
                base: start..end,
                ours: from[0]..to[0],
                theirs: from[1]..to[1],
            }),
            [true, _] => merged.extend_from_slice(&sides[0]),
            _ => merged.extend_from_slice(&sides[1]),
        }
    }
    if !conflicts.is_empty() {
        return Merge::Conflicts(conflicts);
    }
    merged.extend_from_slice(base.range(kept_from as usize, base.len()));
    Merge::Merged(merged)
}
