//! What is explored over a disk of Windows.

use crate::atomic_fs::simulated::{Persistence, Renames};

use super::list::{Effort, List, Sets};
use crate::phases::{Job, Obstacles, Phase};
use crate::scenario::{CHAINS, Scenario};

/// Crashes, faults and edits as elsewhere, files that are held shut, and users between the halves
/// of a replacement.
pub(super) fn explore(list: &mut List, effort: Effort, sets: &Sets) {
    let Sets { ones, twos, threes, chains } = sets;
    let small: Vec<String> = ones.iter().chain(chains).cloned().collect();
    list.renames = Renames::Windows;
    for model in Persistence::WINDOWS {
        if effort == Effort::Quick {
            list.crashes(ones, model, Obstacles::All, (1, 0), 60);
            continue;
        }
        list.crashes(&small, model, Obstacles::All, (2, 7), 100);
        list.edits_after_cuts(&small, model, 100);
        list.crashes(twos, model, Obstacles::All, (1, 11), 40);
        list.crashes(threes, model, Obstacles::No, (0, 0), 200);
        if effort == Effort::Deep {
            list.crashes(twos, model, Obstacles::All, (2, 7), 300);
            list.crashes(threes, model, Obstacles::All, (2, 3), 4096);
        }
    }
    let first = if effort == Effort::Quick { ones } else { &small };
    list.each(first, &[Phase::DamagedContent, Phase::Faults, Phase::FaultsInRecovery]);
    list.each(first, &[Phase::Races { leases: true }, Phase::RacesInReplacement]);
    list.each(first, &[Phase::HeldShut, Phase::RacesInRollback]);
    list.modes_in_rollback(ones, Persistence::Kill);
    if effort > Effort::Quick {
        list.each(first, &[Phase::PAIRS, Phase::RacesInRecovery]);
        list.each(twos, &[Phase::Faults, Phase::RacesInReplacement, Phase::RacesInRollback]);
        list.pairs(first, 150);
    }
    if effort == Effort::Deep {
        list.each(twos, &[Phase::FaultsInRecovery, Phase::PAIRS, Phase::RacesInRecovery]);
        list.each(twos, &[Phase::Races { leases: true }, Phase::HeldShut]);
        list.pairs(twos, 2000);
    }
    list.renames = Renames::All;
}

/// The jobs that a broken variant of what is done on Windows must not survive.
pub fn for_mutants(seed: u64) -> Vec<Job> {
    let mut list = List { jobs: Vec::new(), seed, renames: Renames::Windows };
    let ones = Scenario::all_of(1);
    let chains: Vec<String> = CHAINS.iter().map(|name| (*name).to_owned()).collect();
    list.each(&ones, &[Phase::Faults, Phase::RacesInReplacement, Phase::HeldShut]);
    list.each(&ones, &[Phase::Races { leases: true }, Phase::RacesInRollback]);
    for model in Persistence::WINDOWS {
        list.crashes(&ones, model, Obstacles::All, (1, 0), 60);
    }
    list.each(&ones, &[Phase::FaultsInRecovery, Phase::RacesInRecovery, Phase::PAIRS]);
    let twos = Scenario::all_of(2);
    list.each(&twos, &[Phase::Faults, Phase::RacesInRollback]);
    for model in Persistence::WINDOWS {
        list.crashes(&chains, model, Obstacles::All, (1, 0), 60);
    }
    list.jobs
}
