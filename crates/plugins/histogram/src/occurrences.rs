//! Finds the occurrences of each line of a piece, and the run of common lines with the rarest one.

use std::ops::Range;

use strategy_api::toolbox::{Lineup, Piece, common_end, common_start};

/// A piece is not split at a line that occurs more often, as in JGit and git.
const FREQUENT: u32 = 64;

const NONE: u32 = u32::MAX;

/// The old lines of one piece by id, in chains; reused from piece to piece and empty in between.
pub(super) struct Occurrences {
    /// By id: the first place in the piece.
    first: Vec<u32>,
    /// By id: how many places.
    count: Vec<u32>,
    /// By place: the next one with the same id.
    next: Vec<u32>,
}

/// The result of the search for a run.
pub(super) enum Found {
    /// Common lines, as many on both sides.
    Run(Piece),
    /// The sides have no line in common.
    Nothing,
    /// Every common line is frequent.
    OnlyFrequent,
    /// The search takes too many steps.
    TooDear,
}

/// The best run so far.
struct Best {
    run: Option<Piece>,
    /// How often its rarest line occurs.
    count: u32,
    any_common: bool,
}

impl Occurrences {
    /// Empty tables for the pieces of a lineup.
    pub(super) fn of(lineup: &Lineup<'_>) -> Self {
        Self {
            first: vec![NONE; lineup.distinct()],
            count: vec![0; lineup.distinct()],
            next: vec![NONE; lineup.old_ids().len()],
        }
    }

    /// Searches for the run that contains the rarest line, and among those for the longest. Also
    /// returns the number of steps, which can exceed `steps_max` slightly.
    pub(super) fn rarest_run(
        &mut self,
        lineup: &Lineup<'_>,
        piece: &Piece,
        steps_max: u64,
    ) -> (Found, u64) {
        let to_fill_and_scan = 3 * piece.lines();
        if steps_max < to_fill_and_scan {
            return (Found::TooDear, 0);
        }
        let (old, new) = (lineup.old_ids(), lineup.new_ids());
        self.fill(old, piece.old.clone());
        let mut best = Best { run: None, count: FREQUENT + 1, any_common: false };
        let mut steps = to_fill_and_scan;
        let mut new_at = piece.new.start;
        while new_at < piece.new.end && steps <= steps_max {
            new_at = self.try_line(old, new, piece, new_at, &mut best, &mut steps);
        }
        for id in &old[piece.old.clone()] {
            self.first[*id as usize] = NONE;
            self.count[*id as usize] = 0;
        }
        let found = match best.run {
            _ if steps > steps_max => Found::TooDear,
            Some(run) => Found::Run(run),
            None if best.any_common => Found::OnlyFrequent,
            None => Found::Nothing,
        };
        (found, steps)
    }

    fn fill(&mut self, old: &[u32], range: Range<usize>) {
        for at in range.rev() {
            let id = old[at] as usize;
            self.next[at] = self.first[id];
            self.first[id] = at as u32;
            self.count[id] += 1;
        }
    }

    /// Examines the runs through one new line, and returns the next line to examine.
    fn try_line(
        &self,
        old: &[u32],
        new: &[u32],
        piece: &Piece,
        new_at: usize,
        best: &mut Best,
        steps: &mut u64,
    ) -> usize {
        let id = new[new_at] as usize;
        let count = self.count[id];
        best.any_common |= count > 0;
        let mut go_on_at = new_at + 1;
        if count == 0 || count > best.count {
            return go_on_at;
        }
        let mut place = self.first[id];
        while place != NONE {
            let (run, rarest) = self.run_through(old, new, piece, (place as usize, new_at), count);
            *steps += 1 + run.old.len() as u64;
            go_on_at = go_on_at.max(run.new.end);
            let longer = best.run.as_ref().is_none_or(|best| run.old.len() > best.old.len());
            let end = run.old.end;
            if longer || rarest < best.count {
                best.count = rarest;
                best.run = Some(run);
            }
            // Occurrences inside this run would give parts of it.
            while place != NONE && (place as usize) < end {
                place = self.next[place as usize];
                *steps += 1;
            }
        }
        go_on_at
    }

    /// The run of equal lines around a pair of equal ones, and how often its rarest occurs.
    fn run_through(
        &self,
        old: &[u32],
        new: &[u32],
        piece: &Piece,
        (old_at, new_at): (usize, usize),
        count: u32,
    ) -> (Piece, u32) {
        let above = common_end(&old[piece.old.start..old_at], &new[piece.new.start..new_at]);
        let below = common_start(&old[old_at..piece.old.end], &new[new_at..piece.new.end]);
        let run =
            Piece { old: old_at - above..old_at + below, new: new_at - above..new_at + below };
        let rarest = old[run.old.clone()].iter().map(|id| self.count[*id as usize]).min();
        (run, rarest.unwrap_or(count))
    }
}
