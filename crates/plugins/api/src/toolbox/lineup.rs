//! Compares two files piece by piece, within a number of steps that depends on their size.
//!
//! Every published algorithm and library is quadratic or worse on some common shape. A lineup has a
//! number of steps, fewer for longer files, which all algorithms that work on it share. When they
//! are used up, the rest is compared coarsely, in linear time, and the script is marked as degraded.
//! Steps are counted and do not depend on time, so the same files give the same script on every
//! machine. There is no recursion.

use std::ops::Range;

use super::anchors::Slots;
use super::myers::Diagonals;
use super::shared::Shared;
use super::{ScriptBuilder, trim};
use crate::{Ctl, Input, Op};

/// Two files that are being compared.
///
/// An algorithm works on the lines that both files have, between their common ends, by ids numbered
/// from 0; indexes here are into those. Every line counts as kept until a piece with it is settled
/// otherwise, so each piece has to end in [`Lineup::trim`], [`Lineup::replace`],
/// [`Lineup::line_up`] or [`Lineup::line_up_coarsely`].
#[derive(Debug)]
pub struct Lineup<'a> {
    pub(super) ctl: &'a Ctl<'a>,
    pub(super) shared: Shared,
    pub(super) old_goes: Vec<bool>,
    pub(super) new_comes: Vec<bool>,
    pub(super) steps_left: u64,
    pub(super) diagonals: Diagonals,
    slots: Slots,
    old_len: u32,
    new_len: u32,
}

/// A range of the old file that is to be compared with a range of the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Indexes into [`Lineup::old_ids`].
    pub old: Range<usize>,
    /// Indexes into [`Lineup::new_ids`].
    pub new: Range<usize>,
}

impl Piece {
    /// How many lines both ranges have together.
    pub fn lines(&self) -> u64 {
        (self.old.len() + self.new.len()) as u64
    }
}

/// The host stopped the strategy, so there is no script.
#[derive(Debug)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped before the diff was finished")
    }
}

impl std::error::Error for Stopped {}

impl<'a> Lineup<'a> {
    /// A lineup with so many steps that comparing any contents of 1 MiB takes no noticeable time.
    pub fn of(input: &Input<'_>, ctl: &'a Ctl<'a>) -> Self {
        let shared = Shared::of(input.old, input.new);
        let lines = (shared.old.len() + shared.new.len()) as u64;
        Self::with_steps(input, ctl, shared, steps_for(lines))
    }

    /// A lineup with `steps` to spend.
    pub fn within(input: &Input<'_>, ctl: &'a Ctl<'a>, steps: u64) -> Self {
        Self::with_steps(input, ctl, Shared::of(input.old, input.new), steps)
    }

    fn with_steps(input: &Input<'_>, ctl: &'a Ctl<'a>, shared: Shared, steps: u64) -> Self {
        Self {
            ctl,
            old_goes: vec![false; shared.old.len()],
            new_comes: vec![false; shared.new.len()],
            steps_left: steps,
            diagonals: Diagonals::default(),
            slots: Slots::default(),
            old_len: input.old.len() as u32,
            new_len: input.new.len() as u32,
            shared,
        }
    }

    /// The ids of the old lines that the new file has too, between the common ends.
    pub fn old_ids(&self) -> &[u32] {
        &self.shared.old
    }

    /// The ids of the new lines that the old file has too, between the common ends.
    pub fn new_ids(&self) -> &[u32] {
        &self.shared.new
    }

    /// How many ids there are; each is below it.
    pub fn distinct(&self) -> usize {
        self.shared.distinct as usize
    }

    /// Both files as one piece.
    pub fn whole(&self) -> Piece {
        Piece { old: 0..self.shared.old.len(), new: 0..self.shared.new.len() }
    }

    /// How many steps are left.
    pub fn steps_left(&self) -> u64 {
        self.steps_left
    }

    /// Uses steps: about one for each time a line is examined. If too few are left, uses all of them.
    pub fn spend(&mut self, steps: u64) {
        self.steps_left = self.steps_left.saturating_sub(steps);
    }

    /// Keeps the common ends of a piece and returns the part between them; `None` if that is empty on
    /// either side, because then the piece is settled.
    pub fn trim(&mut self, piece: Piece) -> Option<Piece> {
        let ends = trim(&self.shared.old[piece.old.clone()], &self.shared.new[piece.new.clone()]);
        let middle = Piece {
            old: piece.old.start + ends.prefix..piece.old.end - ends.suffix,
            new: piece.new.start + ends.prefix..piece.new.end - ends.suffix,
        };
        if middle.old.is_empty() || middle.new.is_empty() {
            self.replace(&middle);
            return None;
        }
        Some(middle)
    }

    /// Settles a piece: all its old lines are deleted, all its new lines inserted.
    pub fn replace(&mut self, piece: &Piece) {
        self.old_goes[piece.old.clone()].fill(true);
        self.new_comes[piece.new.clone()].fill(true);
    }

    /// The longest chain of lines that occur once on each side of a piece; see
    /// [`unique_anchors`](super::unique_anchors). Pairs of indexes into [`Lineup::old_ids`] and
    /// [`Lineup::new_ids`]. Costs two steps a line.
    pub fn anchors(&mut self, piece: &Piece) -> Vec<(usize, usize)> {
        self.spend(2 * piece.lines());
        let pairs = self.slots.anchors(
            &self.shared.old[piece.old.clone()],
            &self.shared.new[piece.new.clone()],
            self.shared.distinct as usize,
        );
        let (old, new) = (piece.old.start, piece.new.start);
        pairs.into_iter().map(|(i, j)| (old + i as usize, new + j as usize)).collect()
    }

    /// Pushes the pieces between anchors on a stack, the first on top. Each anchor starts the piece
    /// after it, in which [`Lineup::trim`] keeps it.
    pub fn push_between(piece: &Piece, anchors: &[(usize, usize)], stack: &mut Vec<Piece>) {
        let mut end = (piece.old.end, piece.new.end);
        for &(old, new) in anchors.iter().rev() {
            stack.push(Piece { old: old..end.0, new: new..end.1 });
            end = (old, new);
        }
        stack.push(Piece { old: piece.old.start..end.0, new: piece.new.start..end.1 });
    }

    /// Returns an error if the host does not need the script any more.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if it does not.
    pub fn check_stop(&self) -> Result<(), Stopped> {
        if self.ctl.should_stop() { Err(Stopped) } else { Ok(()) }
    }

    /// The script, after all pieces are settled.
    pub fn script(self) -> Vec<Op> {
        let Self { shared, old_goes, new_comes, old_len, new_len, .. } = self;
        let mut script = ScriptBuilder::new();
        script.keep(0, 0, shared.prefix);
        let (mut old, mut new) = (0, 0);
        loop {
            while old_goes.get(old) == Some(&true) {
                old += 1;
            }
            while new_comes.get(new) == Some(&true) {
                new += 1;
            }
            let kept = (old_goes[old..].iter().zip(&new_comes[new..]))
                .zip(shared.old_at[old..].iter().zip(&shared.new_at[new..]));
            let (Some(&old_at), Some(&new_at)) = (shared.old_at.get(old), shared.new_at.get(new))
            else {
                break;
            };
            // Up to the first line that is deleted, inserted or left out on either side.
            let run = (0..)
                .zip(kept)
                .take_while(|(step, ((goes, comes), (old, new)))| {
                    !**goes && !**comes && **old == old_at + step && **new == new_at + step
                })
                .count();
            script.keep(old_at, new_at, run as u32);
            old += run;
            new += run;
        }
        let suffix = shared.suffix;
        script.keep(old_len - suffix, new_len - suffix, suffix);
        script.finish(old_len, new_len)
    }
}

/// The number of steps for files with this many shared lines.
fn steps_for(lines: u64) -> u64 {
    const STEPS_MAX: u64 = 1_200_000;
    const STEPS_MIN: u64 = 300_000;
    const STEPS_LESS_FOR_EACH_LINE: u64 = 2;
    STEPS_MAX.saturating_sub(lines * STEPS_LESS_FOR_EACH_LINE).max(STEPS_MIN)
}
