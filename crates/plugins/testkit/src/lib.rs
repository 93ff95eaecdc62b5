//! Conformance tests that the author of a diff strategy runs.
//!
//! ```
//! # use strategy_api::{BoxError, Ctl, Input, Op, Strategy};
//! # #[derive(Default)]
//! # struct Mine;
//! # impl Strategy for Mine {
//! #     const NAME: &'static str = "mine";
//! #     fn diff(&self, input: &Input<'_>, _: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
//! #         Ok(strategy_api::toolbox::ScriptBuilder::new()
//! #             .finish(input.old.len() as u32, input.new.len() as u32))
//! #     }
//! # }
//! // In a crate of your own, this is one `#[test]`.
//! strategy_testkit::check_strategy(&Mine);
//! ```
//!
//! `greenroom plugin test` runs the same checks over a built library, in a process of its own.
//! None of them measures time; if a strategy hangs, its test hangs.

#![deny(missing_docs)]

mod checks;
mod pairs;
mod script;
mod subject;

pub use checks::{Check, Listener};
pub use pairs::{Pair, large_pairs, random_pairs, small_pairs};
pub use script::{check_script, reconstruct};
pub use subject::{Library, Subject};

/// All checks.
///
/// # Panics
///
/// If the strategy breaks a rule, with the pair of files for which it does.
pub fn check_strategy(strategy: &dyn Subject) {
    for check in Check::ALL {
        if let Err(why) = check.run(strategy, &|_| ()) {
            panic!("{}: {why}", strategy.name());
        }
    }
}
