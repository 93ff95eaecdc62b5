//! Which jobs a run is made of.

use crate::atomic_fs::simulated::{Persistence, Random, Renames};

use crate::phases::{Job, Obstacles, Phase};
use crate::scenario::{CHAINS, Scenario};

mod list;
mod others;
mod windows;

use list::{List, Sets};

pub use list::Effort;
pub use windows::for_mutants as for_mutants_on_windows;

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
    list.jobs.retain(|job| only.is_none_or(|model| job.phase.model() == model));
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
pub fn for_mutants(seed: u64, aside: bool) -> Vec<Job> {
    let mut list = List { jobs: Vec::new(), seed, renames: Renames::All };
    let (ones, twos) = (Scenario::all_of(1), Scenario::all_of(2));
    let chains: Vec<String> = CHAINS.iter().map(|name| (*name).to_owned()).collect();
    if aside {
        for_mutants_without_exchange(&mut list, &ones, &chains);
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
        for_mutants_without_exchange(&mut list, &ones, &chains);
    }
    list.jobs
}

fn for_mutants_without_exchange(list: &mut List, ones: &[String], chains: &[String]) {
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
