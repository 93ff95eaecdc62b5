//! The promises, as questions to a tree.
//!
//! Written from what Greenroom says of itself (README.md), not from how it does it: the
//! oracle knows what was there, what was approved, what was answered and what a user
//! saved, and no journals, no slots and no order of calls.

use crate::scenario::Scenario;

mod promise;

mod after;
mod known;
mod saves;
mod tree;

pub use known::Known;
pub use promise::{Broken, Promise};

/// Judges a tree that nobody works on any more.
pub struct Oracle<'s> {
    scenario: &'s Scenario,
}

impl<'s> Oracle<'s> {
    /// An oracle for a scenario.
    pub fn new(scenario: &'s Scenario) -> Self {
        Self { scenario }
    }
}
