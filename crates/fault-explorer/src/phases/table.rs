//! The table of phases: how each is counted, over which states, and by what it is explored.

use crate::atomic_fs::simulated::{Persistence, StateCap};

use super::Phase;
use super::work::Work;
use crate::beside;
use crate::scenario::Scenario;
use crate::search::{Bounds, Verdict};

/// What there is to know of a phase.
pub(super) struct Row {
    /// Under which it is counted.
    pub(super) heading: &'static str,
    /// What a crash leaves.
    pub(super) model: Persistence,
    pub(super) bounds: Bounds,
    /// Whether the file system grants leases.
    pub(super) leases: bool,
    /// Whether recovery has the old contents in the store. It has not where no user edits: what the
    /// set's own processes leave on the disk is enough then, and the store is not to mend what a
    /// broken protocol has lost.
    pub(super) has_old: bool,
    /// What is done to the scenario first.
    pub(super) prepare: Option<fn(&mut Scenario)>,
    pub(super) explore: Explore,
}

type Explore = Box<dyn Fn(&mut Work<'_>) -> Verdict>;

impl Phase {
    /// The heading under which it is counted.
    pub fn heading(self) -> &'static str {
        self.row().heading
    }

    /// What a crash leaves in it.
    pub(crate) fn model(self) -> Persistence {
        self.row().model
    }

    /// The row of the table.
    pub(super) fn row(self) -> Row {
        use Persistence::Kill;
        match self {
            Self::Crashes { model, obstacles, depth, deeper_every, cap, seed } => {
                let bounds = Bounds { depth, deeper_every, ..sampled(cap, seed) };
                let explore = move |work: &mut Work<'_>| work.crashes_everywhere(obstacles);
                row(model.word(), model, bounds, explore).without_old()
            }
            Self::CutsAfterKills { model, obstacles, cap, seed } => {
                let explore = move |work: &mut Work<'_>| work.cuts_after_kills(obstacles);
                row(model.word(), model, sampled(cap, seed), explore)
            }
            Self::EditsAfterCuts { model, cap, seed } => {
                row(model.word(), model, sampled(cap, seed), |work| work.edits_after_cuts())
            }
            Self::SlotsRemoved { model, depth, cap, seed } => {
                let bounds = Bounds { depth, ..sampled(cap, seed) };
                row("slots removed", model, bounds, |work| work.slots_removed())
            }
            Self::SlotsReplaced { model, cap, seed } => {
                row("slots replaced", model, sampled(cap, seed), |work| work.slots_replaced())
            }
            Self::JournalsDamaged { model, step, cap, seed } => {
                let explore = move |work: &mut Work<'_>| work.journals_damaged(step);
                row("journals damaged", model, sampled(cap, seed), explore)
                    .over(|scenario| scenario.is_recorded = true)
            }
            Self::Beside { step } => {
                row("second state", Kill, Bounds::kill(), move |work| work.beside(step))
                    .over(|scenario| beside::add_state(&mut scenario.image))
            }
            Self::BesideRecovery { step } => {
                row("second state", Kill, Bounds::kill(), move |work| work.beside_recovery(step))
                    .over(|scenario| beside::add_state(&mut scenario.image))
            }
            Self::DirectoriesMoved => {
                row("directories moved", Kill, Bounds::kill(), |work| work.directories_moved())
            }
            Self::DamagedContent => {
                row("faults", Kill, Bounds::kill(), |work| work.damaged_content())
                    .over(|scenario| scenario.content.damage())
                    .without_old()
            }
            Self::Faults => row("faults", Kill, Bounds::kill(), |work| work.faults()).without_old(),
            Self::FaultsInRecovery => {
                row("faults", Kill, Bounds::kill(), |work| work.faults_in_recovery()).without_old()
            }
            Self::Descriptors => {
                row("descriptors", Kill, Bounds::kill(), |work| work.descriptors()).without_old()
            }
            Self::FaultPairs { model } => {
                row("fault pairs", model, few(model, 4, 0), |work| work.fault_pairs()).without_old()
            }
            Self::Races { leases } => {
                let explore = move |work: &mut Work<'_>| work.races(leases);
                Row { leases, ..row("races", Kill, Bounds::kill(), explore) }
            }
            Self::RacesInRollback => {
                row("races", Kill, Bounds::kill(), |work| work.races_in_rollback())
            }
            Self::ModesInRollback { model } => {
                row("races", model, few(model, 4, 0), |work| work.modes_in_rollback())
            }
            Self::RacesInRecovery => {
                row("races", Kill, Bounds::kill(), |work| work.races_in_recovery())
            }
            Self::HeldShut => row("races", Kill, Bounds::kill(), |work| work.held_shut()),
            Self::RacesInReplacement => {
                row("races", Kill, Bounds::kill(), |work| work.races_in_replacement())
            }
            Self::RacesInPairs { model, count, seed } => {
                let heading = if model == Kill { "races" } else { pairs(model) };
                let explore = move |work: &mut Work<'_>| work.races_in_pairs(count, seed);
                row(heading, model, few(model, 6, seed), explore)
            }
            Self::SavesInTurn { model, seed } => {
                row(pairs(model), model, few(model, 6, seed), |work| work.saves_in_turn())
            }
            Self::EditsAroundCuts { model, count, seed } => {
                let explore = move |work: &mut Work<'_>| work.edits_around_cuts(count, seed);
                row(pairs(model), model, few(model, 6, seed), explore)
            }
        }
    }
}

/// A row of the usual kind: leases are granted, and the store has the old contents.
fn row(
    heading: &'static str,
    model: Persistence,
    bounds: Bounds,
    explore: impl Fn(&mut Work<'_>) -> Verdict + 'static,
) -> Row {
    let explore: Explore = Box::new(explore);
    Row { heading, model, bounds, leases: true, has_old: true, prepare: None, explore }
}

impl Row {
    fn without_old(self) -> Self {
        Self { has_old: false, ..self }
    }

    fn over(self, prepare: fn(&mut Scenario)) -> Self {
        Self { prepare: Some(prepare), ..self }
    }
}

/// So many states of each crash point, drawn by a seed.
fn sampled(cap: usize, seed: u64) -> Bounds {
    let cap = StateCap { contents: cap, names: cap, seed };
    Bounds { cap, depth: 0, deeper_every: 0 }
}

/// So many contents of each crash point and twice as many names; kills have few states anyway.
fn few(model: Persistence, contents: usize, seed: u64) -> Bounds {
    if model == Persistence::Kill {
        return Bounds::kill();
    }
    let cap = StateCap { contents, names: 2 * contents, seed };
    Bounds { cap, depth: 0, deeper_every: 0 }
}

fn pairs(model: Persistence) -> &'static str {
    match model {
        Persistence::Kill => "edit pairs, kill",
        Persistence::Weak => "edit pairs, weak",
        Persistence::Ordered => "edit pairs, ordered",
        Persistence::Treelog => "edit pairs, treelog",
        Persistence::Ntfs => "edit pairs, ntfs",
    }
}
