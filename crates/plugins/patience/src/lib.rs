//! Patience diff: lines that are unique on both sides first, as git's `--patience`.
//!
//! By Bram Cohen. Between the lines that are unique in the whole file, other lines are unique within
//! their piece, and so on; if there are none, Myers diff decides.

use strategy_api::toolbox::Lineup;
use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

/// The strategy for files whose blocks have moved; unique lines decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience;

impl Strategy for Patience {
    const NAME: &'static str = "patience";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        let mut lineup = Lineup::of(input, ctl);
        let mut open = vec![lineup.whole()];
        while let Some(piece) = open.pop() {
            let Some(piece) = lineup.trim(piece) else {
                continue;
            };
            lineup.check_stop()?;
            if lineup.steps_left() < 2 * piece.lines() {
                // There are too few steps for another search for anchors.
                lineup.line_up_coarsely(piece);
                continue;
            }
            let anchors = lineup.anchors(&piece);
            if anchors.is_empty() {
                lineup.line_up(piece)?;
            } else {
                Lineup::push_between(&piece, &anchors, &mut open);
            }
        }
        Ok(lineup.script())
    }
}

export_strategy!(Patience);
