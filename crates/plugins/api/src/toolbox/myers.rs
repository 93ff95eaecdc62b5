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
            let rounds = [Self::go_down, Self::go_up];
            for one_round in rounds {
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
                && let Some(place) = self.long_run(down, up, round)
            {
                return place;
            }
            if round >= rounds_max || *steps_left == 0 {
                break;
            }
        }
        self.furthest(down, up)
    }

    /// One round of the paths from the start.
    fn go_down(&mut self, down: &mut Reach, up: &mut Reach) -> Round {
        let (old_len, new_len) = (self.old.len() as i32, self.new.len() as i32);
        let offset = self.offset;
        if down.low > -new_len {
            down.low -= 1;
            self.forward[(down.low - 1 + offset) as usize] = -1;
        } else {
            down.low += 1;
        }
        if down.high < old_len {
            down.high += 1;
            self.forward[(down.high + 1 + offset) as usize] = -1;
        } else {
            down.high -= 1;
        }
        let odd = (down.middle - up.middle) & 1 != 0;
        let (mut walked, mut longest) = (0, 0);
        let mut diagonal = down.high;
        while diagonal >= down.low {
            let at = (diagonal + offset) as usize;
            let start = (self.forward[at - 1] + 1).max(self.forward[at + 1]);
            let run = self.equal_below(start, start - diagonal);
            walked += run;
            longest = longest.max(run);
            let old_at = start + run;
            self.forward[at] = old_at;
            if odd && (up.low..=up.high).contains(&diagonal) && self.backward[at] <= old_at {
                return Round::Met(old_at as usize, (old_at - diagonal) as usize);
            }
            diagonal -= 2;
        }
        apart(*down, walked, longest)
    }

    /// One round of the paths from the end.
    fn go_up(&mut self, down: &mut Reach, up: &mut Reach) -> Round {
        let (old_len, new_len) = (self.old.len() as i32, self.new.len() as i32);
        let offset = self.offset;
        if up.low > -new_len {
            up.low -= 1;
            self.backward[(up.low - 1 + offset) as usize] = i32::MAX;
        } else {
            up.low += 1;
        }
        if up.high < old_len {
            up.high += 1;
            self.backward[(up.high + 1 + offset) as usize] = i32::MAX;
        } else {
            up.high -= 1;
        }
        let odd = (down.middle - up.middle) & 1 != 0;
        let (mut walked, mut longest) = (0, 0);
        let mut diagonal = up.high;
        while diagonal >= up.low {
            let at = (diagonal + offset) as usize;
            let start = self.backward[at - 1].min(self.backward[at + 1] - 1);
            let run = self.equal_above(start, start - diagonal);
            walked += run;
            longest = longest.max(run);
            let old_at = start - run;
            self.backward[at] = old_at;
            if !odd && (down.low..=down.high).contains(&diagonal) && old_at <= self.forward[at] {
                return Round::Met(old_at as usize, (old_at - diagonal) as usize);
            }
            diagonal -= 2;
        }
        apart(*up, walked, longest)
    }

    /// How many lines are equal from these indexes on. A path may have left the piece by one line.
    fn equal_below(&self, old_at: i32, new_at: i32) -> i32 {
        let (mut old, mut new) = (old_at as usize, new_at as usize);
        while let (Some(a), Some(b)) = (self.old.get(old), self.new.get(new))
            && a == b
        {
            old += 1;
            new += 1;
        }
        old as i32 - old_at
    }

    /// How many lines are equal before these indexes.
    fn equal_above(&self, old_at: i32, new_at: i32) -> i32 {
        // The index before the first line is out of range of any content.
        let before = |at: usize| at.wrapping_sub(1);
        let (mut old, mut new) = (before(old_at as usize), before(new_at as usize));
        let mut run = 0;
        while let (Some(a), Some(b)) = (self.old.get(old), self.new.get(new))
            && a == b
        {
            (old, new) = (before(old), before(new));
            run += 1;
        }
        run
    }

    /// The end of a long run of equal lines on a path that has come far for its cost.
    fn long_run(&self, down: Reach, up: Reach, round: i32) -> Option<(usize, usize)> {
        let (old_len, new_len) = (self.old.len() as i32, self.new.len() as i32);
        let worth = |gained: i32, diagonal: i32, middle: i32| {
            let worth = gained - (diagonal - middle).abs();
            (worth > RUN_FACTOR * round).then_some(worth)
        };
        let from_start = (down.low..=down.high).step_by(2).filter_map(|diagonal| {
            let old_at = self.forward[(diagonal + self.offset) as usize];
            let new_at = old_at - diagonal;
            let inside =
                (LONG_RUN..old_len).contains(&old_at) && (LONG_RUN..new_len).contains(&new_at);
            let worth = worth(old_at + new_at, diagonal, down.middle).filter(|_| inside)?;
            let (old_at, new_at) = (old_at as usize, new_at as usize);
            let run = LONG_RUN as usize;
            (self.old[old_at - run..old_at] == self.new[new_at - run..new_at])
                .then_some((worth, old_at, new_at))
        });
        if let Some((_, old_at, new_at)) = from_start.max_by_key(|found| found.0) {
            return Some((old_at, new_at));
        }
        let from_end = (up.low..=up.high).step_by(2).filter_map(|diagonal| {
            let old_at = self.backward[(diagonal + self.offset) as usize];
            let new_at = old_at.checked_sub(diagonal)?;
            let inside = (1..=old_len - LONG_RUN).contains(&old_at)
                && (1..=new_len - LONG_RUN).contains(&new_at);
            let gained = (old_len - old_at) + (new_len - new_at);
            let worth = worth(gained, diagonal, up.middle).filter(|_| inside)?;
            let (old_at, new_at) = (old_at as usize, new_at as usize);
            let run = LONG_RUN as usize;
            (self.old[old_at..old_at + run] == self.new[new_at..new_at + run])
                .then_some((worth, old_at, new_at))
        });
        from_end.max_by_key(|found| found.0).map(|(_, old_at, new_at)| (old_at, new_at))
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

/// A round that cost a step for each diagonal, and less for each line walked over.
fn apart(reach: Reach, walked: i32, longest: i32) -> Round {
    const LINES_FOR_A_STEP: i32 = 4;
    let steps = (reach.high - reach.low) / 2 + 1 + walked / LINES_FOR_A_STEP;
    Round::Apart { steps: steps.max(1) as u64, long_run: longest > LONG_RUN }
}
