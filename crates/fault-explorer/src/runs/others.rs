//! What is explored of others: who has taken the descriptors, the slots, the journals.

use atomic_fs::simulated::Persistence;

use super::{Effort, List, Sets};
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

/// Where power was cut, or a slot is something else, some promises are broken today: those sets are
/// left out, and docs/fault-injection.md says which.
fn slots(list: &mut List, effort: Effort, sets: &Sets) {
    let (seed, cap) = (list.seed, if effort == Effort::Quick { 6 } else { 16 });
    let model = Persistence::Kill;
    let removed = Phase::SlotsRemoved { model, depth: 0, cap, seed };
    for sets in [&sets.ones, &sets.twos, &sets.chains] {
        list.each(sets, &[removed]);
    }
    list.each(&["C".to_owned()], &[Phase::SlotsReplaced { model, cap, seed }]);
    let takes_away = |name: &String| name.contains(['D', 'V', 'A', 'R']);
    let staying = |sets: &[String]| -> Vec<String> {
        sets.iter().filter(|name| !takes_away(name)).cloned().collect()
    };
    let (ones, twos) = (staying(&sets.ones), staying(&sets.twos));
    for model in Persistence::POWER_CUTS {
        list.each(&ones, &[Phase::SlotsRemoved { model, depth: 0, cap, seed }]);
        list.each(&twos, &[Phase::SlotsRemoved { model, depth: 0, cap, seed }]);
    }
    let model = Persistence::Weak;
    let both = "MM".to_owned();
    let deeper: Vec<String> = ones.into_iter().chain([both]).collect();
    list.each(&deeper, &[Phase::SlotsRemoved { model, depth: 1, cap, seed }]);
}
