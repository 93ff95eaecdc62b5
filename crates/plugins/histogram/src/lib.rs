//! Histogram diff: the rarest common lines first, as git's `--histogram`, by imara-diff.

use imara_diff::{Algorithm, Diff, Token};
use strategy_api::toolbox::{Budget, Match, bounded};
use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

/// The default strategy; its diffs read best where code has moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Histogram;

impl Strategy for Histogram {
    const NAME: &'static str = "histogram";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        Ok(bounded(input.old, input.new, ctl, Budget::default(), matches)?)
    }
}

fn matches(old: &[u32], new: &[u32], distinct: u32) -> Vec<Match> {
    let tokens = |ids: &[u32]| ids.iter().copied().map(Token).collect::<Vec<_>>();
    let mut diff = Diff::default();
    diff.compute_with(Algorithm::Histogram, &tokens(old), &tokens(new), distinct);
    let mut runs = Vec::new();
    let (mut old_at, mut new_at) = (0, 0);
    for hunk in diff.hunks() {
        runs.push((old_at, new_at, hunk.before.start - old_at));
        (old_at, new_at) = (hunk.before.end, hunk.after.end);
    }
    runs.push((old_at, new_at, old.len() as u32 - old_at));
    runs
}

export_strategy!(Histogram);
