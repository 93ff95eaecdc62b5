//! What is explored of others: who has taken the descriptors, the slots, the journals.

use crate::atomic_fs::simulated::{Persistence, Renames};

use super::list::{Effort, List, Sets};
use crate::phases::Phase;

pub(super) fn explore(list: &mut List, effort: Effort, sets: &Sets) {
    let Sets { ones, twos, chains, .. } = sets;
    list.each(ones, &[Phase::Descriptors]);
    slots(list, effort, sets);
    let (seed, is_quick) = (list.seed, effort == Effort::Quick);
    let (model, cap) = (Persistence::Kill, 16);
    let step = if is_quick { 37 } else { 1 };
    list.each(ones, &[Phase::JournalsDamaged { model, step, cap, seed }]);
    let some = if is_quick { &twos[..4] } else { twos };
    list.each(some, &[Phase::JournalsDamaged { model, step: 5 * step, cap, seed }]);
    let step = match effort {
        Effort::Quick => 7,
        Effort::Default => 3,
        Effort::Deep => 1,
    };
    list.each(ones, &[Phase::Beside { step }, Phase::BesideRecovery { step }]);
    if !is_quick {
        list.each(
            chains,
            &[Phase::Beside { step: 3 * step }, Phase::BesideRecovery { step: 3 * step }],
        );
    }
}

/// Slots that others take away or replace, and directories that they move.
fn slots(list: &mut List, effort: Effort, sets: &Sets) {
    let Sets { ones, twos, chains, .. } = sets;
    let (seed, is_quick) = (list.seed, effort == Effort::Quick);
    let cap = if is_quick { 6 } else { 16 };
    for model in Persistence::ALL {
        let removed = Phase::SlotsRemoved { model, depth: 0, cap, seed };
        for sets in [ones, twos, chains] {
            list.each(sets, &[removed]);
        }
        list.each(ones, &[Phase::SlotsReplaced { model, cap, seed }]);
    }
    let model = Persistence::Weak;
    let deeper: Vec<String> = ones.iter().cloned().chain(["MM".to_owned()]).collect();
    list.each(&deeper, &[Phase::SlotsRemoved { model, depth: 1, cap, seed }]);
    let in_dirs: Vec<String> = ones.iter().chain(twos).chain(chains).cloned().collect();
    list.each(&in_dirs, &[Phase::DirectoriesMoved]);
    for renames in [Renames::NoExchange, Renames::Plain] {
        list.renames = renames;
        for model in [Persistence::Kill, Persistence::Weak] {
            // The store has no owner and no attributes, which a private file's slots alone had.
            let shared: Vec<String> = ones.iter().filter(|name| *name != "O").cloned().collect();
            list.each(&shared, &[Phase::SlotsRemoved { model, depth: 0, cap, seed }]);
        }
    }
    list.renames = Renames::All;
}
