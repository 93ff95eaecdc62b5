//! Myers diff: a shortest edit script, or nearly, as git's default.
//!
//! The algorithm is in the toolbox, because the other strategies fall back on it; see
//! [`Lineup::line_up`].

use strategy_api::toolbox::Lineup;
use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

/// The strategy for the fewest changed lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Myers;

impl Strategy for Myers {
    const NAME: &'static str = "myers";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        let mut lineup = Lineup::of(input, ctl);
        lineup.line_up(lineup.whole())?;
        Ok(lineup.script())
    }
}

export_strategy!(Myers);
