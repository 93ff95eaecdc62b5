//! Patience diff: lines that are unique on both sides first, by similar.

use similar::algorithms::{Algorithm, DiffHook, diff_slices};
use strategy_api::toolbox::{Budget, Match, bounded};
use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

/// The strategy for files whose blocks have moved; unique lines decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience;

impl Strategy for Patience {
    const NAME: &'static str = "patience";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        Ok(bounded(input.old, input.new, ctl, Budget::default(), matches)?)
    }
}

fn matches(old: &[u32], new: &[u32], _distinct: u32) -> Vec<Match> {
    let mut runs = Runs::default();
    match diff_slices(Algorithm::Patience, &mut runs, old, new) {
        Ok(()) => runs.0,
        Err(never) => match never {},
    }
}

/// Collects what is equal and lets the rest pass.
#[derive(Default)]
struct Runs(Vec<Match>);

impl DiffHook for Runs {
    type Error = std::convert::Infallible;

    fn equal(&mut self, old: usize, new: usize, len: usize) -> Result<(), Self::Error> {
        self.0.push((old as u32, new as u32, len as u32));
        Ok(())
    }
}

export_strategy!(Patience);
