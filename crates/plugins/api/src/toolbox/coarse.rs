//! Compares in linear time what is left when the steps are used up.

use super::lineup::{Lineup, Piece};

impl Lineup<'_> {
    /// Settles a piece in time linear in its lines, apart from the sorting of anchors: by lines that
    /// are unique on both sides, and between those by comparing a few lines ahead. Marks the script
    /// as degraded.
    pub fn line_up_coarsely(&mut self, piece: Piece) {
        let Some(piece) = self.trim(piece) else {
            return;
        };
        self.ctl.note_degraded();
        // With so few distinct lines hardly any is unique, and the search takes four passes.
        let few_distinct = piece.lines() > 256 * self.distinct() as u64;
        let anchors = if few_distinct { Vec::new() } else { self.anchors(&piece) };
        let mut pieces = Vec::with_capacity(anchors.len() + 1);
        Self::push_between(&piece, &anchors, &mut pieces);
        while let Some(piece) = pieces.pop() {
            if let Some(piece) = self.trim(piece) {
                self.look_ahead(piece);
            }
        }
    }

    /// Goes down both sides; where they differ, continues at the nearest pair of equal lines.
    ///
    /// What lies within `LINES_AHEAD` lines is looked at once for each line that is passed, or for each
    /// `LINES_AHEAD` lines where nothing meets, so the work for a line has a bound.
    fn look_ahead(&mut self, piece: Piece) {
        const LINES_AHEAD: usize = 8;
        let (mut old, mut new) = (piece.old.start, piece.new.start);
        while old < piece.old.end && new < piece.new.end {
            if self.shared.old[old] == self.shared.new[new] {
                old += 1;
                new += 1;
                continue;
            }
            let ahead = |at: usize, end: usize| at..end.min(at + LINES_AHEAD);
            let (old_ahead, new_ahead) = (ahead(old, piece.old.end), ahead(new, piece.new.end));
            let (skip_old, skip_new) = nearest_meeting(
                &self.shared.old[old_ahead.clone()],
                &self.shared.new[new_ahead.clone()],
            )
            .unwrap_or((old_ahead.len(), new_ahead.len()));
            self.old_goes[old..old + skip_old].fill(true);
            self.new_comes[new..new + skip_new].fill(true);
            old += skip_old;
            new += skip_new;
        }
        self.replace(&Piece { old: old..piece.old.end, new: new..piece.new.end });
    }
}

/// The indexes of equal lines with the least sum.
fn nearest_meeting(old: &[u32], new: &[u32]) -> Option<(usize, usize)> {
    (1..old.len() + new.len() - 1).find_map(|sum| {
        let first = sum.saturating_sub(new.len() - 1);
        let last = sum.min(old.len() - 1);
        (first..=last).find(|&i| old[i] == new[sum - i]).map(|i| (i, sum - i))
    })
}
