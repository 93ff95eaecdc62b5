//! One phase over one scenario.

use crate::atomic_fs::simulated::Renames;

use super::Phase;
use super::work::Work;
use crate::case::Violation;
use crate::counts::Counts;
use crate::fixture::{Fixture, Terms};
use crate::scenario::Scenario;
use crate::search::Search;

/// One piece of work, independent of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The scenario's name.
    pub scenario: String,
    /// Which kinds of rename the file system knows.
    pub renames: Renames,
    /// What is explored.
    pub phase: Phase,
}

/// What a job found.
pub struct Outcome {
    /// What was explored.
    pub counts: Counts,
    /// The first promise that was broken.
    pub violation: Option<Box<Violation>>,
}

impl Job {
    /// The heading under which it is counted.
    pub fn heading(&self) -> String {
        let heading = self.phase.heading();
        match self.renames {
            Renames::All => heading.to_owned(),
            renames => format!("{heading}, {}", renames.word()),
        }
    }

    /// Explores the phase over the scenario.
    pub fn run(&self, fixture: &Fixture) -> Outcome {
        let row = self.phase.row();
        let scenario = Scenario::over(&self.scenario, self.renames);
        let mut scenario = scenario.expect("jobs name scenarios that exist");
        if let Some(prepare) = row.prepare {
            prepare(&mut scenario);
        }
        let terms = Terms {
            leases: row.leases,
            renames: self.renames,
            has_old: row.has_old,
            described: false,
        };
        let search = Search::new(fixture, &scenario, row.model, terms, row.bounds);
        let mut work = Work { scenario: &scenario, renames: self.renames, search };
        let verdict = (row.explore)(&mut work);
        Outcome { counts: work.search.counts, violation: verdict.err() }
    }
}
