//! Lists of jobs, and what they are made from.

use crate::atomic_fs::simulated::{Persistence, Renames};

use crate::phases::{Job, Obstacles, Phase};
use crate::scenario::makes_links;

/// How much is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Under a minute.
    Quick,
    /// Under five minutes on two cores.
    Default,
    /// Hours.
    Deep,
}

impl Effort {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Deep => "deep",
        }
    }
}

/// Sets by size, by name.
pub(super) struct Sets {
    pub(super) ones: Vec<String>,
    pub(super) twos: Vec<String>,
    pub(super) threes: Vec<String>,
    pub(super) chains: Vec<String>,
}

/// The jobs of a run, as they are added.
pub(super) struct List {
    pub(super) jobs: Vec<Job>,
    pub(super) seed: u64,
    pub(super) renames: Renames,
}

impl List {
    pub(super) fn each(&mut self, scenarios: &[String], phases: &[Phase]) {
        for phase in phases {
            let can_be_made =
                |name: &&String| self.renames != Renames::Windows || !makes_links(name);
            for scenario in scenarios.iter().filter(can_be_made) {
                let (scenario, renames) = (scenario.clone(), self.renames);
                self.jobs.push(Job { scenario, renames, phase: *phase });
            }
        }
    }

    /// `depth` is of crashes inside recovery, and at every so-many-th state one deeper.
    pub(super) fn crashes(
        &mut self,
        scenarios: &[String],
        model: Persistence,
        obstacles: Obstacles,
        (depth, deeper_every): (u8, usize),
        cap: usize,
    ) {
        let seed = self.seed;
        self.each(
            scenarios,
            &[Phase::Crashes { model, obstacles, depth, deeper_every, cap, seed }],
        );
    }

    pub(super) fn cuts_after_kills(
        &mut self,
        scenarios: &[String],
        model: Persistence,
        obstacles: Obstacles,
        cap: usize,
    ) {
        let seed = self.seed;
        if model != Persistence::Kill {
            self.each(scenarios, &[Phase::CutsAfterKills { model, obstacles, cap, seed }]);
        }
    }

    pub(super) fn saves_in_turn(&mut self, scenarios: &[String], model: Persistence) {
        let seed = self.seed;
        self.each(scenarios, &[Phase::SavesInTurn { model, seed }]);
    }

    /// For those that change the mode of a file that they leave otherwise as it is.
    pub(super) fn modes_in_rollback(&mut self, scenarios: &[String], model: Persistence) {
        let of_modes: Vec<String> =
            scenarios.iter().filter(|name| name.contains('X')).cloned().collect();
        self.each(&of_modes, &[Phase::ModesInRollback { model }]);
    }

    /// So many pairs of edits, with kills.
    pub(super) fn pairs(&mut self, scenarios: &[String], count: usize) {
        let (model, seed) = (Persistence::Kill, self.seed);
        self.each(scenarios, &[Phase::RacesInPairs { model, count, seed }]);
    }

    /// So many pairs of edits in an apply, and so many around the cut, with power cuts.
    pub(super) fn pairs_with_cuts(
        &mut self,
        scenarios: &[String],
        model: Persistence,
        count: usize,
    ) {
        let seed = self.seed;
        self.each(scenarios, &[Phase::RacesInPairs { model, count, seed }]);
        self.each(scenarios, &[Phase::EditsAroundCuts { model, count, seed }]);
    }

    pub(super) fn edits_after_cuts(
        &mut self,
        scenarios: &[String],
        model: Persistence,
        cap: usize,
    ) {
        let seed = self.seed;
        self.each(scenarios, &[Phase::EditsAfterCuts { model, cap, seed }]);
    }
}
