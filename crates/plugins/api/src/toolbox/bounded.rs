//! A bound around any algorithm, counted in steps so that every machine gives the same script.
//!
//! Every published algorithm, and every library of them, is quadratic or worse on some everyday
//! shape. Here the common ends are trimmed, lines that only one side has are dropped, and what is
//! left goes to the algorithm where it fits the budget. Where it does not, it is split at lines
//! that are unique on both sides; where there are none, both sides are cut into the same number of
//! pieces, which are lined up piece by piece; and when the budget is used up, the rest is replaced.
//! There is no recursion.

use std::collections::HashMap;
use std::ops::Range;

use super::{ScriptBuilder, trim, unique_anchors};
use crate::{Ctl, Op};

/// How much work a diff may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The largest product of both sides' line counts that goes to the algorithm in one piece.
    pub cells_at_once_max: u64,
    /// The sum of those products over a whole diff.
    pub cells_max: u64,
    /// How many lines may be looked at by the splitting, for each line of input.
    pub passes_max: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cells_at_once_max: 1 << 22, cells_max: 1 << 25, passes_max: 64 }
    }
}

/// A run of lines that both sides have: (old index, new index, length).
pub type Match = (u32, u32, u32);

/// The host asked to stop, so there is no script.
#[derive(Debug)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped before the diff was finished")
    }
}

impl std::error::Error for Stopped {}

/// Lines up two files with `algorithm`, within the budget.
///
/// `algorithm` gets pieces whose ids are numbered afresh from 0 (so that tables by id stay small)
/// with the number of distinct ids, and returns matching runs in ascending order.
///
/// # Errors
///
/// [`Stopped`] when `ctl` asks to stop; it is asked before every piece.
pub fn bounded(
    old: &[u32],
    new: &[u32],
    ctl: &Ctl<'_>,
    budget: Budget,
    algorithm: impl FnMut(&[u32], &[u32], u32) -> Vec<Match>,
) -> Result<Vec<Op>, Stopped> {
    let lines = (old.len() + new.len()) as u64;
    let mut work = Work {
        old,
        new,
        ctl,
        cells_at_once_max: budget.cells_at_once_max,
        cells_left: budget.cells_max,
        looks_left: lines.saturating_mul(budget.passes_max),
        pending: vec![Piece { old: 0..old.len(), new: 0..new.len() }],
        script: ScriptBuilder::new(),
        algorithm,
    };
    while let Some(piece) = work.pending.pop() {
        if ctl.should_stop() {
            return Err(Stopped);
        }
        work.line_up(piece);
    }
    Ok(work.script.finish(old.len() as u32, new.len() as u32))
}

struct Work<'a, F> {
    old: &'a [u32],
    new: &'a [u32],
    ctl: &'a Ctl<'a>,
    cells_at_once_max: u64,
    cells_left: u64,
    looks_left: u64,
    /// What is still to be lined up, the first piece last.
    pending: Vec<Piece>,
    script: ScriptBuilder,
    algorithm: F,
}

#[derive(Clone, Debug)]
struct Piece {
    old: Range<usize>,
    new: Range<usize>,
}

impl<F: FnMut(&[u32], &[u32], u32) -> Vec<Match>> Work<'_, F> {
    fn line_up(&mut self, piece: Piece) {
        let (old, new) = (&self.old[piece.old.clone()], &self.new[piece.new.clone()]);
        let ends = trim(old, new);
        self.keep(piece.old.start, piece.new.start, ends.prefix);
        let middle = Piece {
            old: piece.old.start + ends.prefix..piece.old.end - ends.suffix,
            new: piece.new.start + ends.prefix..piece.new.end - ends.suffix,
        };
        if middle.old.is_empty() || middle.new.is_empty() {
            self.keep(middle.old.end, middle.new.end, ends.suffix);
            return;
        }
        if ends.suffix > 0 {
            // A piece that is all common: it comes out as one kept run when its turn comes.
            self.pending.push(Piece {
                old: middle.old.end..piece.old.end,
                new: middle.new.end..piece.new.end,
            });
        }
        let looks = (middle.old.len() + middle.new.len()) as u64;
        match self.looks_left.checked_sub(looks) {
            Some(left) => self.looks_left = left,
            None => return self.ctl.note_degraded(),
        }
        self.line_up_middle(middle);
    }

    fn line_up_middle(&mut self, middle: Piece) {
        let shared = Shared::of(self.old, self.new, &middle);
        if shared.old_at.is_empty() || shared.new_at.is_empty() {
            return;
        }
        let cells = shared.old_at.len() as u64 * shared.new_at.len() as u64;
        if cells <= self.cells_at_once_max && cells <= self.cells_left {
            self.cells_left -= cells;
            let matches = (self.algorithm)(&shared.old_ids, &shared.new_ids, shared.distinct);
            for (old, new, len) in matches {
                for step in 0..len {
                    let old = shared.old_at[(old + step) as usize];
                    let new = shared.new_at[(new + step) as usize];
                    self.keep(old, new, 1);
                }
            }
            return;
        }
        let anchors = unique_anchors(&shared.old_ids, &shared.new_ids);
        if !anchors.is_empty() {
            let anchors = anchors
                .into_iter()
                .map(|(old, new)| (shared.old_at[old as usize], shared.new_at[new as usize]));
            return self.split(middle, anchors.collect());
        }
        self.ctl.note_degraded();
        if let Some(count) = self.pieces_within_budget(cells) {
            self.cut(middle, &shared, count);
        }
    }

    /// Queues what lies between the anchors; each anchor starts the piece after it.
    fn split(&mut self, middle: Piece, anchors: Vec<(usize, usize)>) {
        let first = self.pending.len();
        let (mut old, mut new) = (middle.old.start, middle.new.start);
        for (anchor_old, anchor_new) in anchors {
            self.pending.push(Piece { old: old..anchor_old, new: new..anchor_new });
            (old, new) = (anchor_old, anchor_new);
        }
        self.pending.push(Piece { old: old..middle.old.end, new: new..middle.new.end });
        self.pending[first..].reverse();
    }

    /// Into how many pieces to cut both sides so that each fits, and all together take at most
    /// half of what is left; none where nothing is left.
    ///
    /// Both sides cut into n pieces make n pairs, each of `cells / n²`.
    fn pieces_within_budget(&self, cells: u64) -> Option<usize> {
        let for_all = cells.div_ceil((self.cells_left / 2).max(1));
        let for_each = cells.div_ceil(self.cells_at_once_max).isqrt() + 1;
        let count = for_all.max(for_each).max(2);
        (self.cells_left > self.cells_at_once_max).then_some(count as usize)
    }

    /// Queues both sides cut into `count` pieces.
    fn cut(&mut self, middle: Piece, shared: &Shared, count: usize) {
        let cut_at = |at: &[usize], step: usize, end: usize| {
            at.get(at.len() * step / count).copied().unwrap_or(end)
        };
        let first = self.pending.len();
        let (mut old, mut new) = (middle.old.start, middle.new.start);
        for step in 1..=count {
            let (old_end, new_end) = if step == count {
                (middle.old.end, middle.new.end)
            } else {
                (
                    cut_at(&shared.old_at, step, middle.old.end),
                    cut_at(&shared.new_at, step, middle.new.end),
                )
            };
            self.pending.push(Piece { old: old..old_end, new: new..new_end });
            (old, new) = (old_end, new_end);
        }
        self.pending[first..].reverse();
    }

    fn keep(&mut self, old: usize, new: usize, len: usize) {
        self.script.keep(old as u32, new as u32, len as u32);
    }
}

/// The lines of a piece that both sides have, numbered afresh.
#[derive(Default)]
struct Shared {
    old_ids: Vec<u32>,
    new_ids: Vec<u32>,
    /// Where each stands in the whole file.
    old_at: Vec<usize>,
    new_at: Vec<usize>,
    distinct: u32,
}

impl Shared {
    fn of(old: &[u32], new: &[u32], piece: &Piece) -> Self {
        // Which sides have the id, and its new number once both have it.
        let mut numbers: HashMap<u32, Option<u32>> =
            old[piece.old.clone()].iter().map(|id| (*id, None)).collect();
        let mut shared = Self::default();
        for at in piece.new.clone() {
            if let Some(number) = numbers.get_mut(&new[at]) {
                let number = *number.get_or_insert_with(|| {
                    shared.distinct += 1;
                    shared.distinct - 1
                });
                shared.new_ids.push(number);
                shared.new_at.push(at);
            }
        }
        for at in piece.old.clone() {
            if let Some(Some(number)) = numbers.get(&old[at]) {
                shared.old_ids.push(*number);
                shared.old_at.push(at);
            }
        }
        shared
    }
}
