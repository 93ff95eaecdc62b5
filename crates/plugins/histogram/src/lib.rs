//! Histogram diff: the rarest common lines first, as git's `--histogram`.
//!
//! An extension of patience diff from JGit: a piece is split at the run of common lines that contains
//! the rarest line, at the longest one if several are equally rare; lines need not be unique. If every
//! common line is frequent, Myers diff decides. The cost of the search for runs is limited, because
//! it is quadratic if every second line has changed or two files are interleaved.

mod occurrences;

use occurrences::{Found, Occurrences};
use strategy_api::toolbox::{Lineup, Piece};
use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

/// The default strategy; its diffs read best where code has moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Histogram;

impl Strategy for Histogram {
    const NAME: &'static str = "histogram";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        let mut lineup = Lineup::of(input, ctl);
        let mut occurrences = Occurrences::of(&lineup);
        // Steps for Myers diff, after the search for runs has used up its part.
        let reserve = lineup.steps_left() / 4;
        let mut open = vec![lineup.whole()];
        while let Some(piece) = open.pop() {
            let Some(piece) = lineup.trim(piece) else {
                continue;
            };
            lineup.check_stop()?;
            let steps = lineup.steps_left().saturating_sub(reserve);
            let (found, spent) = occurrences.rarest_run(&lineup, &piece, steps);
            lineup.spend(spent);
            match found {
                Found::Run(run) => {
                    open.push(Piece {
                        old: run.old.end..piece.old.end,
                        new: run.new.end..piece.new.end,
                    });
                    open.push(Piece {
                        old: piece.old.start..run.old.start,
                        new: piece.new.start..run.new.start,
                    });
                }
                Found::Nothing => lineup.replace(&piece),
                Found::OnlyFrequent => lineup.line_up(piece)?,
                Found::TooDear => split_at_unique_lines(&mut lineup, piece, ctl)?,
            }
        }
        Ok(lineup.script())
    }
}

/// Splits as patience diff does: cheaper than a search for runs, and as good if blocks have moved.
fn split_at_unique_lines(
    lineup: &mut Lineup<'_>,
    piece: Piece,
    ctl: &Ctl<'_>,
) -> Result<(), BoxError> {
    ctl.note_degraded();
    let anchors = lineup.anchors(&piece);
    let mut between = Vec::with_capacity(anchors.len() + 1);
    Lineup::push_between(&piece, &anchors, &mut between);
    while let Some(piece) = between.pop() {
        lineup.line_up(piece)?;
    }
    Ok(())
}

export_strategy!(Histogram);
