//! Myers diff in linear space, with the short cuts of git's.
//!
//! E. Myers, "An O(ND) difference algorithm and its variations", Algorithmica 1 (1986). A piece is
//! split where the furthest paths from its two ends meet. As in git's `xdiff`, the search for a split
//! ends early, with the best place seen, when it has cost too much for the size of the piece, or when
//! a path has found a long run of equal lines far out. Here it also ends when the steps are used up.

/// The progress of paths on each diagonal: on diagonal k, old index minus new index is k.
///
/// The arrays are reused from piece to piece; a split sets every element that it reads.
#[derive(Debug, Default)]
pub(super) struct Diagonals {
    /// The furthest old index reached from the start.
    forward: Vec<i32>,
    /// The least old index reached from the end.
    backward: Vec<i32>,
}

/// The diagonals that paths from one end have reached: every second one from `low` to `high`.
#[derive(Clone, Copy)]
struct Reach {
    middle: i32,
    low: i32,
    high: i32,
}

/// A piece that is being split.
struct Search<'a> {
    old: &'a [u32],
    new: &'a [u32],
    forward: &'a mut [i32],
    backward: &'a mut [i32],
    /// What is added to a diagonal to index the arrays.
    offset: i32,
}

/// What one round of all paths from one end found.
enum Round {
    /// The paths from both ends meet here.
    Met(usize, usize),
    /// They do not meet yet.
    Apart { steps: u64, long_run: bool },
}

/// The length of a run of equal lines at which a search may stop.
const LONG_RUN: i32 = 20;
/// After how many rounds long runs are searched for.
const ROUNDS_BEFORE_RUNS: i32 = 256;
/// How many times further than its cost a path must have come for the search to stop there.
const RUN_FACTOR: i32 = 4;
/// How many searches must be possible with the steps that are left.
const SEARCHES_AFFORDED: u64 = 8;
/// The fewest rounds after which a search may end early, while steps last.
const ROUNDS_MIN: i32 = 256;

impl Diagonals {
    /// Where to split two stretches that differ in their first and in their last lines.
    ///
    /// Either part is smaller than the whole.
    pub(super) fn split(
        &mut self,
        old: &[u32],
        new: &[u32],
        steps_left: &mut u64,
    ) -> (usize, usize) {
        let diagonals = old.len() + new.len() + 3;
        if self.forward.len() < diagonals {
            self.forward.resize(diagonals, 0);
            self.backward.resize(diagonals, 0);
        }
        let offset = new.len() as i32 + 1;
        let mut search = Search {
            old,
            new,
            forward: &mut self.forward[..diagonals],
            backward: &mut self.backward[..diagonals],
            offset,
        };
        search.split(steps_left)
    }
}

impl Search<'_> {
    fn split(&mut self, steps_left: &mut u64) -> (usize, usize) {
        let (old_len, new_len) = (self.old.len() as i32, self.new.len() as i32);
        // Rounds take about their square in steps; no search may use up the steps of the others.
        let affordable = (*steps_left / SEARCHES_AFFORDED).isqrt().max(1) as i32;
        let rounds_max = ROUNDS_MIN.max((old_len + new_len).isqrt()).min(affordable);
        let mut down = Reach { middle: 0, low: 0, high: 0 };
        let mut up =
            Reach { middle: old_len - new_len, low: old_len - new_len, high: old_len - new_len };
        self.forward[(down.middle + self.offset) as usize] = 0;
        self.backward[(up.middle + self.offset) as usize] = old_len;
        for round in 1.. {
            let mut any_long_run = false;
            for one_round in [Self::round::<false>, Self::round::<true>] {
                match one_round(self, &mut down, &mut up) {
                    Round::Met(old, new) => return (old, new),
                    Round::Apart { steps, long_run } => {
                        *steps_left = steps_left.saturating_sub(steps);
                        any_long_run |= long_run;
                    }
                }
            }
            if any_long_run
                && round > ROUNDS_BEFORE_RUNS
                && let Some(place) =
                    self.long_run::<false>(down, round).or_else(|| self.long_run::<true>(up, round))
            {
                return place;
            }
            if round >= rounds_max || *steps_left == 0 {
                break;
            }
        }
        self.furthest(down, up)
    }

    /// One round of the paths from the start, or of those from the end, which go `UP`.
    fn round<const UP: bool>(&mut self, down: &mut Reach, up: &mut Reach) -> Round {
        let (old_len, new_len) = (self.old.len() as i32, self.new.len() as i32);
        let (old, new, offset) = (self.old, self.new, self.offset);
        let odd = (down.middle - up.middle) & 1 != 0;
        let (reached, met, own, other, nowhere) = match UP {
            true => (&mut *self.backward, &*self.forward, up, down, i32::MAX),
            false => (&mut *self.forward, &*self.backward, down, up, -1),
        };
        if own.low > -new_len {
            own.low -= 1;
            reached[(own.low - 1 + offset) as usize] = nowhere;
        } else {
            own.low += 1;
        }
        if own.high < old_len {
            own.high += 1;
            reached[(own.high + 1 + offset) as usize] = nowhere;
        } else {
            own.high -= 1;
        }
        let (mut walked, mut longest) = (0, 0);
        let mut diagonal = own.high;
        while diagonal >= own.low {
            let at = (diagonal + offset) as usize;
            let (run, old_at) = if UP {
                let start = reached[at - 1].min(reached[at + 1] - 1);
                let run = equal_above(old, new, start, start - diagonal);
                (run, start - run)
            } else {
                let start = (reached[at - 1] + 1).max(reached[at + 1]);
                let run = equal_below(old, new, start, start - diagonal);
                (run, start + run)
            };
            walked += run;
            longest = longest.max(run);
            reached[at] = old_at;
            let is_past = if UP { old_at <= met[at] } else { met[at] <= old_at };
            if odd != UP && (other.low..=other.high).contains(&diagonal) && is_past {
                return Round::Met(old_at as usize, (old_at - diagonal) as usize);
            }
            diagonal -= 2;
        }
        apart(*own, walked, longest)
    }

    /// The end of a long run of equal lines on a path that has come far for its cost.
    fn long_run<const UP: bool>(&self, reach: Reach, round: i32) -> Option<(usize, usize)> {
        let reached = if UP { &*self.backward } else { &*self.forward };
        let inside = |at: i32, lines: &[u32]| {
            let len = lines.len() as i32;
            if UP { (1..=len - LONG_RUN).contains(&at) } else { (LONG_RUN..len).contains(&at) }
        };
        let found = (reach.low..=reach.high).step_by(2).filter_map(|diagonal| {
            let old_at = reached[(diagonal + self.offset) as usize];
            let new_at = old_at.checked_sub(diagonal)?;
            if !inside(old_at, self.old) || !inside(new_at, self.new) {
                return None;
            }
            let lines = (self.old.len() + self.new.len()) as i32;
            let gained = if UP { lines - old_at - new_at } else { old_at + new_at };
            let worth = gained - (diagonal - reach.middle).abs();
            let (old_at, new_at, run) = (old_at as usize, new_at as usize, LONG_RUN as usize);
            // The lines that the path has come over last.
            let (old_from, new_from) =
                if UP { (old_at, new_at) } else { (old_at - run, new_at - run) };
            let is_equal = self.old[old_from..old_from + run] == self.new[new_from..new_from + run];
            (worth > RUN_FACTOR * round && is_equal).then_some((worth, old_at, new_at))
        });
        found.max_by_key(|found| found.0).map(|(_, old_at, new_at)| (old_at, new_at))
    }

    /// The point furthest from the end from which it was reached.
    fn furthest(&self, down: Reach, up: Reach) -> (usize, usize) {
        let (old_len, new_len) = (self.old.len() as i32, self.new.len() as i32);
        let from_start = (down.low..=down.high).step_by(2).map(|diagonal| {
            let reached = self.forward[(diagonal + self.offset) as usize];
            let old_at = reached.min(old_len).min(new_len + diagonal);
            (old_at, old_at - diagonal)
        });
        let from_end = (up.low..=up.high).step_by(2).map(|diagonal| {
            let reached = self.backward[(diagonal + self.offset) as usize];
            let old_at = reached.max(0).max(diagonal);
            (old_at, old_at - diagonal)
        });
        let sum = |place: &(i32, i32)| place.0 + place.1;
        let below = from_start.max_by_key(sum).unwrap_or((0, 0));
        let above = from_end.min_by_key(sum).unwrap_or((old_len, new_len));
        let (old_at, new_at) =
            if sum(&below) > old_len + new_len - sum(&above) { below } else { above };
        (old_at as usize, new_at as usize)
    }
}

/// How many lines are equal from these indexes on. A path may have left the piece by one line.
fn equal_below(old_lines: &[u32], new_lines: &[u32], old_at: i32, new_at: i32) -> i32 {
    let (mut old, mut new) = (old_at as usize, new_at as usize);
    while let (Some(a), Some(b)) = (old_lines.get(old), new_lines.get(new))
        && a == b
    {
        old += 1;
        new += 1;
    }
    old as i32 - old_at
}

/// How many lines are equal before these indexes.
fn equal_above(old_lines: &[u32], new_lines: &[u32], old_at: i32, new_at: i32) -> i32 {
    // The index before the first line is out of range of any content.
    let before = |at: usize| at.wrapping_sub(1);
    let (mut old, mut new) = (before(old_at as usize), before(new_at as usize));
    let mut run = 0;
    while let (Some(a), Some(b)) = (old_lines.get(old), new_lines.get(new))
        && a == b
    {
        (old, new) = (before(old), before(new));
        run += 1;
    }
    run
}

/// A round that cost a step for each diagonal, and less for each line walked over.
fn apart(reach: Reach, walked: i32, longest: i32) -> Round {
    const LINES_FOR_A_STEP: i32 = 4;
    let steps = (reach.high - reach.low) / 2 + 1 + walked / LINES_FOR_A_STEP;
    Round::Apart { steps: steps.max(1) as u64, long_run: longest > LONG_RUN }
}
