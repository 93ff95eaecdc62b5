//! Which jobs a run is made of.

use atomic_fs::simulated::{Persistence, Renames};

use crate::phases::{Job, Obstacles, Phase};
use crate::random::Random;
use crate::scenario::{CHAINS, Scenario, makes_links};

mod others;
mod windows;

pub use windows::hunt as hunt_on_windows;

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

/// The jobs of a run, the small ones first, so that the first violation is a short one.
pub fn jobs(effort: Effort, seed: u64, only: Option<Persistence>) -> Vec<Job> {
    let mut list = List { jobs: Vec::new(), seed, renames: Renames::All };
    let (ones, twos, threes) = (Scenario::all_of(1), Scenario::all_of(2), Scenario::all_of(3));
    let chains: Vec<String> = CHAINS.iter().map(|name| (*name).to_owned()).collect();
    let small: Vec<String> = ones.iter().chain(&chains).cloned().collect();
    // A directory that a set made stays when its files are taken back, so that one set cannot
    // be taken back by another.
    let reversible =
        small.iter().filter(|name| !matches!(name.as_str(), "file-to-directory" | "directories"));
    let undone: Vec<String> = reversible.map(|name| format!("undo-of-{name}")).collect();
    let mut random = Random::new(seed);
    let mut larger = |count: usize, sizes: &[usize]| -> Vec<String> {
        let all = sizes.iter().flat_map(|size| std::iter::repeat_n(*size, count));
        all.map(|size| Scenario::random(size, &mut random)).collect()
    };
    for model in Persistence::ALL {
        if effort == Effort::Quick {
            list.crashes(&ones, model, Obstacles::All, (2, 7), 300);
            list.crashes(&chains, model, Obstacles::Moves, (1, 0), 60);
            list.cuts_after_kills(&ones, model, Obstacles::Moves, 20);
            list.edits_after_cuts(&ones, model, 100);
            list.crashes(&twos, model, Obstacles::Moves, (0, 0), 40);
            continue;
        }
        // The weak model has so many states that fewer of each point are looked at.
        let is_weak = model == Persistence::Weak && effort < Effort::Deep;
        list.crashes(&small, model, Obstacles::All, (2, 7), if is_weak { 40 } else { 100 });
        list.crashes(&undone, model, Obstacles::All, (1, 0), 60);
        list.cuts_after_kills(&ones, model, Obstacles::Moves, 24);
        list.cuts_after_kills(&chains, model, Obstacles::No, 6);
        list.cuts_after_kills(&twos, model, Obstacles::No, 6);
        list.edits_after_cuts(&ones, model, 100);
        list.crashes(&twos, model, Obstacles::All, (1, 11), if is_weak { 16 } else { 40 });
        if !is_weak {
            list.edits_after_cuts(&twos, model, 12);
        }
        list.edits_after_cuts(&chains, model, 24);
        list.crashes(&threes, model, Obstacles::No, (0, 0), if is_weak { 60 } else { 4096 });
        list.crashes(&larger(6, &[5, 8]), model, Obstacles::Moves, (0, 0), 24);
        if model == Persistence::Kill {
            // Kills leave few states each, so more of them are affordable.
            list.crashes(&twos, model, Obstacles::All, (2, 0), 1);
            list.crashes(&threes, model, Obstacles::All, (1, 0), 1);
        }
        if effort == Effort::Deep {
            let twos_undone: Vec<String> =
                twos.iter().map(|name| format!("undo-of-{name}")).collect();
            list.crashes(&twos_undone, model, Obstacles::All, (2, 3), 4096);
            list.crashes(&threes, model, Obstacles::All, (2, 3), 20_000);
            list.edits_after_cuts(&threes, model, 4096);
            list.crashes(&larger(100, &[4, 6, 10, 20]), model, Obstacles::All, (1, 9), 4096);
        }
    }
    let first = if effort == Effort::Quick { &ones } else { &small };
    list.each(first, &[Phase::DamagedContent, Phase::Faults, Phase::FaultsInRecovery]);
    list.each(first, &[Phase::PAIRS, Phase::RacesInRollback, Phase::RacesInRecovery]);
    list.each(first, &[Phase::Races { leases: true }, Phase::Races { leases: false }]);
    list.modes_in_rollback(&ones, Persistence::Kill);
    list.pairs(first, 150);
    if effort > Effort::Quick {
        for model in Persistence::POWER_CUTS {
            list.each(&ones, &[Phase::FaultPairs { model }]);
            list.modes_in_rollback(&ones, model);
        }
        list.each(&undone, &[Phase::Faults, Phase::Races { leases: true }]);
        list.each(&twos, &[Phase::DamagedContent, Phase::Faults, Phase::FaultsInRecovery]);
        list.each(&twos, &[Phase::PAIRS, Phase::RacesInRollback]);
        list.each(&twos, &[Phase::Races { leases: true }]);
        list.pairs(&twos, if effort == Effort::Deep { 200 } else { 60 });
    }
    if effort == Effort::Deep {
        list.modes_in_rollback(&twos, Persistence::Kill);
        list.each(&twos, &[Phase::RacesInRecovery, Phase::Races { leases: false }]);
        list.each(&threes, &[Phase::Faults, Phase::FaultsInRecovery, Phase::PAIRS]);
        list.each(&threes, &[Phase::Races { leases: true }, Phase::Races { leases: false }]);
        list.each(&threes, &[Phase::RacesInRecovery]);
        list.pairs(&threes, 5000);
        list.each(&larger(20, &[4, 6]), &[Phase::Faults, Phase::Races { leases: true }]);
    }
    if effort > Effort::Quick {
        for model in Persistence::POWER_CUTS {
            list.pairs_with_cuts(&small, model, 60);
            list.saves_in_turn(&ones, model);
            list.pairs_with_cuts(&twos, model, 20);
        }
    }
    let sets = Sets { ones, twos, threes, chains };
    others::explore(&mut list, effort, &sets);
    without_exchange(&mut list, effort, &sets);
    windows::explore(&mut list, effort, &sets);
    let wanted = |job: &Job| match (only, job.phase) {
        (None, _) => true,
        (
            Some(only),
            Phase::Crashes { model, .. }
            | Phase::CutsAfterKills { model, .. }
            | Phase::FaultPairs { model }
            | Phase::ModesInRollback { model }
            | Phase::EditsAfterCuts { model, .. }
            | Phase::SlotsRemoved { model, .. }
            | Phase::SlotsReplaced { model, .. }
            | Phase::JournalsDamaged { model, .. }
            | Phase::RacesInPairs { model, .. }
            | Phase::SavesInTurn { model, .. }
            | Phase::EditsAroundCuts { model, .. },
        ) => model == only,
        (Some(only), _) => only == Persistence::Kill,
    };
    list.jobs.retain(wanted);
    list.jobs
}

/// Disks that cannot exchange, and disks that know the plain rename alone: files are moved
/// aside there. What does not move a name is the same as elsewhere.
fn without_exchange(list: &mut List, effort: Effort, sets: &Sets) {
    let Sets { ones, twos, chains, .. } = sets;
    let small: Vec<String> = ones.iter().chain(chains).cloned().collect();
    for renames in [Renames::NoExchange, Renames::Plain] {
        list.renames = renames;
        if effort == Effort::Quick {
            for model in Persistence::ALL {
                list.crashes(ones, model, Obstacles::Moves, (0, 0), 40);
            }
            list.each(ones, &[Phase::RacesInRollback, Phase::Races { leases: false }]);
            list.modes_in_rollback(ones, Persistence::Kill);
            list.pairs(ones, 40);
            continue;
        }
        for model in Persistence::ALL {
            let is_weak = model == Persistence::Weak && effort < Effort::Deep;
            let (of_small, of_twos) = match is_weak {
                true => (Obstacles::Moves, Obstacles::No),
                false => (Obstacles::All, Obstacles::Moves),
            };
            list.crashes(&small, model, of_small, (1, 13), 24);
            list.crashes(ones, model, Obstacles::All, (0, 0), 24);
            list.cuts_after_kills(ones, model, Obstacles::Moves, 16);
            list.cuts_after_kills(chains, model, Obstacles::No, 6);
            list.edits_after_cuts(ones, model, 16);
            list.crashes(twos, model, of_twos, (0, 0), 16);
            if effort == Effort::Deep {
                list.crashes(twos, model, Obstacles::All, (2, 7), 300);
            }
        }
        list.each(&small, &[Phase::Faults, Phase::FaultsInRecovery, Phase::PAIRS]);
        list.each(&small, &[Phase::RacesInRollback, Phase::RacesInRecovery]);
        list.modes_in_rollback(ones, Persistence::Kill);
        list.each(&small, &[Phase::Races { leases: true }, Phase::Races { leases: false }]);
        list.pairs(&small, 150);
        list.each(twos, &[Phase::Faults]);
        list.pairs(twos, 50);
        // What is without flags is without the exchange as well.
        if renames == Renames::Plain || effort == Effort::Deep {
            list.each(twos, &[Phase::RacesInRollback, Phase::Races { leases: false }]);
        }
        if effort == Effort::Deep {
            list.each(twos, &[Phase::FaultsInRecovery, Phase::RacesInRecovery, Phase::PAIRS]);
            list.each(twos, &[Phase::Races { leases: true }]);
            list.pairs(twos, 2000);
        }
    }
    list.renames = Renames::All;
}

/// The jobs that a broken variant must not survive, the quick ones first; those over disks
/// without exchange come before all others where `aside` says so.
pub fn hunt(seed: u64, aside: bool) -> Vec<Job> {
    let mut list = List { jobs: Vec::new(), seed, renames: Renames::All };
    let (ones, twos) = (Scenario::all_of(1), Scenario::all_of(2));
    let chains: Vec<String> = CHAINS.iter().map(|name| (*name).to_owned()).collect();
    if aside {
        hunt_without_exchange(&mut list, &ones, &chains);
    }
    list.each(&ones, &[Phase::DamagedContent]);
    for model in Persistence::ALL {
        list.crashes(&ones, model, Obstacles::All, (1, 0), 60);
    }
    list.each(&ones, &[Phase::Faults, Phase::Races { leases: true }]);
    list.each(&ones, &[Phase::RacesInRollback, Phase::Races { leases: false }]);
    list.modes_in_rollback(&ones, Persistence::Kill);
    for model in Persistence::ALL {
        list.crashes(&twos, model, Obstacles::Moves, (0, 0), 16);
        list.edits_after_cuts(&ones, model, 60);
    }
    list.pairs(&ones, 150);
    for model in Persistence::POWER_CUTS {
        list.pairs_with_cuts(&ones, model, 60);
    }
    list.each(&ones, &[Phase::PAIRS]);
    list.each(&twos, &[Phase::RacesInRollback]);
    list.each(&chains, &[Phase::Races { leases: true }, Phase::RacesInRollback]);
    list.each(&ones, &[Phase::FaultsInRecovery, Phase::RacesInRecovery]);
    list.each(&chains, &[Phase::Faults]);
    list.pairs(&chains, 150);
    for model in Persistence::ALL {
        list.crashes(&chains, model, Obstacles::All, (1, 0), 60);
        list.crashes(&twos, model, Obstacles::All, (1, 0), 60);
        list.edits_after_cuts(&twos, model, 60);
    }
    list.each(&twos, &[Phase::Races { leases: true }, Phase::Races { leases: false }]);
    if !aside {
        hunt_without_exchange(&mut list, &ones, &chains);
    }
    list.jobs
}

fn hunt_without_exchange(list: &mut List, ones: &[String], chains: &[String]) {
    for renames in [Renames::Plain, Renames::NoExchange] {
        list.renames = renames;
        list.each(ones, &[Phase::Races { leases: false }]);
        list.pairs(ones, 150);
        list.each(ones, &[Phase::Faults]);
        for model in Persistence::ALL {
            list.crashes(ones, model, Obstacles::All, (1, 0), 60);
        }
        list.each(ones, &[Phase::RacesInRollback, Phase::RacesInRecovery]);
        for model in Persistence::ALL {
            list.cuts_after_kills(ones, model, Obstacles::Moves, 16);
            list.crashes(chains, model, Obstacles::All, (1, 0), 60);
        }
        list.pairs(chains, 150);
    }
    list.renames = Renames::All;
}

/// Sets by size, by name.
struct Sets {
    ones: Vec<String>,
    twos: Vec<String>,
    threes: Vec<String>,
    chains: Vec<String>,
}

struct List {
    jobs: Vec<Job>,
    seed: u64,
    renames: Renames,
}

impl List {
    fn each(&mut self, scenarios: &[String], phases: &[Phase]) {
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
    fn crashes(
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

    fn cuts_after_kills(
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

    fn saves_in_turn(&mut self, scenarios: &[String], model: Persistence) {
        let seed = self.seed;
        self.each(scenarios, &[Phase::SavesInTurn { model, seed }]);
    }

    /// For those that change the mode of a file that they leave otherwise as it is.
    fn modes_in_rollback(&mut self, scenarios: &[String], model: Persistence) {
        let of_modes: Vec<String> =
            scenarios.iter().filter(|name| name.contains('X')).cloned().collect();
        self.each(&of_modes, &[Phase::ModesInRollback { model }]);
    }

    /// So many pairs of edits, with kills.
    fn pairs(&mut self, scenarios: &[String], count: usize) {
        let (model, seed) = (Persistence::Kill, self.seed);
        self.each(scenarios, &[Phase::RacesInPairs { model, count, seed }]);
    }

    /// So many pairs of edits in an apply, and so many around the cut, with power cuts.
    fn pairs_with_cuts(&mut self, scenarios: &[String], model: Persistence, count: usize) {
        let seed = self.seed;
        self.each(scenarios, &[Phase::RacesInPairs { model, count, seed }]);
        self.each(scenarios, &[Phase::EditsAroundCuts { model, count, seed }]);
    }

    fn edits_after_cuts(&mut self, scenarios: &[String], model: Persistence, cap: usize) {
        let seed = self.seed;
        self.each(scenarios, &[Phase::EditsAfterCuts { model, cap, seed }]);
    }
}
