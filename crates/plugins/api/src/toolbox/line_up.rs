//! Compares a piece by Myers diff: splits it, and compares both parts separately.

use super::lineup::{Lineup, Piece, Stopped};

impl Lineup<'_> {
    /// Settles a piece by Myers diff, or coarsely once the steps are used up.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the host stops the strategy, which is checked before every split.
    pub fn line_up(&mut self, piece: Piece) -> Result<(), Stopped> {
        let mut open = vec![piece];
        while let Some(piece) = open.pop() {
            let Some(piece) = self.trim(piece) else {
                continue;
            };
            self.check_stop()?;
            if self.steps_left == 0 {
                self.line_up_coarsely(piece);
                continue;
            }
            let old = &self.shared.old[piece.old.clone()];
            let new = &self.shared.new[piece.new.clone()];
            let (old_at, new_at) = self.diagonals.split(old, new, &mut self.steps_left);
            let (old_at, new_at) = (piece.old.start + old_at, piece.new.start + new_at);
            open.push(Piece { old: old_at..piece.old.end, new: new_at..piece.new.end });
            open.push(Piece { old: piece.old.start..old_at, new: piece.new.start..new_at });
        }
        Ok(())
    }
}
