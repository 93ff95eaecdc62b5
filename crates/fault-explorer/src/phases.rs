//! What is explored: crashes, faults, and users' edits, over one scenario at a time.

use atomic_fs::simulated::{Answer, Persistence, Renames, StateCap};

use crate::case::Violation;
use crate::counts::Counts;
use crate::plan::{How, Plan};
use crate::scenario::Scenario;
use crate::search::{Bounds, Search, Verdict};
use crate::stage::{Bench, Ending, Run, Terms};

mod crashes;
mod edits;
mod faults;
mod others;
mod windows;

use edits::edit;
use faults::mishaps;

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

/// What is explored over a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Every crash under a model.
    Crashes {
        /// The model.
        model: Persistence,
        /// Where the sets that fail or meet an edit half-way are crashed as well.
        obstacles: Obstacles,
        /// How many crashes follow inside recovery.
        depth: u8,
        /// And one more at every so-many-th state.
        deeper_every: usize,
        /// How many states a crash point has before it is sampled.
        cap: usize,
        /// What samples are drawn by.
        seed: u64,
    },
    /// A kill at every point, and a power cut at every point of the recovery that follows, with
    /// and without a user who removes a file, or changes a mode, once it has answered.
    CutsAfterKills {
        /// The model.
        model: Persistence,
        /// As above.
        obstacles: Obstacles,
        /// As above.
        cap: usize,
        /// As above.
        seed: u64,
    },
    /// A user's edit after every power cut, before recovery.
    EditsAfterCuts {
        /// The model.
        model: Persistence,
        /// As above.
        cap: usize,
        /// As above.
        seed: u64,
    },
    /// Any of the slots taken away after a crash, before recovery.
    SlotsRemoved {
        /// The model.
        model: Persistence,
        /// How many crashes in recovery follow.
        depth: u8,
        /// As above.
        cap: usize,
        /// As above.
        seed: u64,
    },
    /// Slots that are something else, or somewhere else, after a crash.
    SlotsReplaced {
        /// The model.
        model: Persistence,
        /// As above.
        cap: usize,
        /// As above.
        seed: u64,
    },
    /// A journal that was damaged after a crash.
    JournalsDamaged {
        /// The model.
        model: Persistence,
        /// From one byte that is damaged to the next.
        step: usize,
        /// As above.
        cap: usize,
        /// As above.
        seed: u64,
    },
    /// A second state over the same tree, before every `step`-th call of an apply.
    Beside {
        /// As above.
        step: usize,
    },
    /// The same before the calls of every recovery from a kill.
    BesideRecovery {
        /// As above.
        step: usize,
    },
    /// A directory with a part of the set moved away before each call of an apply.
    DirectoriesMoved,
    /// Staged content that is not what was approved.
    DamagedContent,
    /// Every call fails with every errno it can give.
    Faults,
    /// The same at every call of every recovery from a kill.
    FaultsInRecovery,
    /// No more descriptors from any call on, in an apply and in recovery.
    Descriptors,
    /// Every two calls fail, and every call followed by a device that stays bad; then the process
    /// ends, or power is cut.
    FaultPairs {
        /// The model.
        model: Persistence,
    },
    /// A user's edit before every call, alone and with a kill at every later point.
    Races {
        /// Whether the file system grants leases.
        leases: bool,
    },
    /// A failure at every call that moves a name, and a user's edit before every call of
    /// what takes the set back.
    RacesInRollback,
    /// A failure at every call of a set that changes a mode, the user's own change of that mode
    /// before every call after it, and a crash at every later point.
    ModesInRollback {
        /// The model.
        model: Persistence,
    },
    /// A user's edit before every call of every recovery from a kill.
    RacesInRecovery,
    /// Two edits anywhere, by chance, with a crash at every later point.
    RacesInPairs {
        /// The model.
        model: Persistence,
        /// How many.
        count: usize,
        /// What they are drawn by.
        seed: u64,
    },
    /// A save in place before each call that moves a name, which waits for a lease where there is
    /// one, and another save before every call after it, with a crash at every later point.
    SavesInTurn {
        /// The model.
        model: Persistence,
        /// What is sampled by.
        seed: u64,
    },
    /// Files that a user holds open on Windows, before every call and for some time.
    HeldShut,
    /// A user's edits before a replacement and between its halves.
    RacesInReplacement,
    /// An edit in the apply, a power cut at some later point, and another edit in recovery,
    /// all by chance. A third of the later edits bring back what was there before the set, and
    /// a third bring what was approved.
    EditsAroundCuts {
        /// The model.
        model: Persistence,
        /// How many applies.
        count: usize,
        /// What they are drawn by.
        seed: u64,
    },
}

/// Which obstacles a set meets before it is crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacles {
    /// None.
    No,
    /// A failure at each call that moves a name.
    Moves,
    /// A failure at each call that changes something or syncs, and an edit before each
    /// that moves a name.
    All,
}

impl Phase {
    /// Two faults, after which the process ends.
    pub const PAIRS: Self = Self::FaultPairs { model: Persistence::Kill };

    /// Whether recovery does without the old contents in the store, where no user edits: what the
    /// set's own processes leave on the disk is enough then, and the store is not to mend what a
    /// broken protocol has lost.
    fn spares_the_store(self) -> bool {
        matches!(
            self,
            Self::Crashes { .. }
                | Self::DamagedContent
                | Self::Faults
                | Self::FaultsInRecovery
                | Self::Descriptors
                | Self::FaultPairs { .. }
        )
    }

    /// The heading under which it is counted.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Crashes { model, .. }
            | Self::CutsAfterKills { model, .. }
            | Self::EditsAfterCuts { model, .. } => model.word(),
            Self::SlotsRemoved { .. } => "slots removed",
            Self::SlotsReplaced { .. } => "slots replaced",
            Self::JournalsDamaged { .. } => "journals damaged",
            Self::Beside { .. } | Self::BesideRecovery { .. } => "second state",
            Self::Descriptors => "descriptors",
            Self::DirectoriesMoved => "directories moved",
            Self::Faults | Self::FaultsInRecovery | Self::DamagedContent => "faults",
            Self::FaultPairs { .. } => "fault pairs",
            Self::Races { .. }
            | Self::RacesInRollback
            | Self::ModesInRollback { .. }
            | Self::RacesInRecovery
            | Self::HeldShut
            | Self::RacesInReplacement
            | Self::RacesInPairs { model: Persistence::Kill, .. } => "races",
            Self::RacesInPairs { model, .. }
            | Self::SavesInTurn { model, .. }
            | Self::EditsAroundCuts { model, .. } => match model {
                Persistence::Kill => "edit pairs, kill",
                Persistence::Weak => "edit pairs, weak",
                Persistence::Ordered => "edit pairs, ordered",
                Persistence::Treelog => "edit pairs, treelog",
                Persistence::Ntfs => "edit pairs, ntfs",
            },
        }
    }
}

/// What a job came to.
pub struct Outcome {
    /// What was explored.
    pub counts: Counts,
    /// The first promise that was broken.
    pub violation: Option<Box<Violation>>,
}

impl Job {
    /// The heading under which it is counted.
    pub fn heading(&self) -> String {
        match self.renames {
            Renames::All => self.phase.heading().to_owned(),
            renames => format!("{}, {}", self.phase.heading(), renames.word()),
        }
    }

    /// Does it.
    pub fn run(&self, bench: &Bench) -> Outcome {
        let scenario = Scenario::over(&self.scenario, self.renames);
        let mut scenario = scenario.expect("jobs name scenarios that exist");
        if self.phase == Phase::DamagedContent {
            scenario.content.damage();
        }
        scenario.is_recorded = matches!(self.phase, Phase::JournalsDamaged { .. });
        if matches!(self.phase, Phase::Beside { .. } | Phase::BesideRecovery { .. }) {
            crate::beside::add_state(&mut scenario.image);
        }
        let (model, bounds, leases) = match self.phase {
            Phase::Crashes { model, depth, deeper_every, cap, seed, .. } => {
                let cap = StateCap { contents: cap, names: cap, seed };
                (model, Bounds { cap, depth, deeper_every }, true)
            }
            Phase::CutsAfterKills { model, cap, seed, .. }
            | Phase::EditsAfterCuts { model, cap, seed }
            | Phase::SlotsReplaced { model, cap, seed }
            | Phase::JournalsDamaged { model, cap, seed, .. } => {
                let cap = StateCap { contents: cap, names: cap, seed };
                (model, Bounds { cap, depth: 0, deeper_every: 0 }, true)
            }
            Phase::SlotsRemoved { model, depth, cap, seed } => {
                let cap = StateCap { contents: cap, names: cap, seed };
                (model, Bounds { cap, depth, deeper_every: 0 }, true)
            }
            Phase::FaultPairs { model } | Phase::ModesInRollback { model }
                if model != Persistence::Kill =>
            {
                let cap = StateCap { contents: 4, names: 8, seed: 0 };
                (model, Bounds { cap, depth: 0, deeper_every: 0 }, true)
            }
            Phase::RacesInPairs { model, seed, .. }
            | Phase::SavesInTurn { model, seed }
            | Phase::EditsAroundCuts { model, seed, .. }
                if model != Persistence::Kill =>
            {
                let cap = StateCap { contents: 6, names: 12, seed };
                (model, Bounds { cap, depth: 0, deeper_every: 0 }, true)
            }
            Phase::Races { leases } => (Persistence::Kill, Bounds::kill(), leases),
            _ => (Persistence::Kill, Bounds::kill(), true),
        };
        let has_old = !self.phase.spares_the_store();
        let terms = Terms { leases, renames: self.renames, has_old, described: false };
        let search = Search::new(bench, &scenario, model, terms, bounds);
        let mut work = Work { scenario: &scenario, renames: self.renames, search };
        let verdict = work.explore(self.phase);
        Outcome { counts: work.search.counts, violation: verdict.err() }
    }
}

struct Work<'a> {
    scenario: &'a Scenario,
    renames: Renames,
    search: Search<'a>,
}

impl Work<'_> {
    fn explore(&mut self, phase: Phase) -> Verdict {
        let renames = self.renames;
        match phase {
            Phase::Crashes { obstacles, .. } => {
                self.crashes(obstacles, &mut |search, run| search.crash_everywhere(run))
            }
            Phase::CutsAfterKills { obstacles, .. } => {
                let mut edits = Vec::new();
                for path in self.scenario.paths() {
                    edits.push(edit(&path, How::Remove, ""));
                    edits.extend(self.modes_of(&path).map(|how| edit(&path, how, "")));
                }
                self.crashes(obstacles, &mut |search, run| {
                    search.cut_recoveries_from_kills(run, &edits)
                })
            }
            Phase::EditsAfterCuts { .. } => self.edits_after_cuts(),
            Phase::SlotsRemoved { .. } => self.slots_removed(),
            Phase::SlotsReplaced { .. } => self.slots_replaced(),
            Phase::JournalsDamaged { step, .. } => self.journals_damaged(step),
            Phase::Beside { step } => self.beside(step),
            Phase::BesideRecovery { step } => self.beside_recovery(step),
            Phase::Descriptors => self.descriptors(),
            Phase::DirectoriesMoved => self.directories_moved(),
            Phase::DamagedContent => self.damaged_content(),
            Phase::Faults => self.faults(),
            Phase::FaultsInRecovery => self.in_recovery(&|run| {
                let calls = run.steps.iter().enumerate();
                calls
                    .flat_map(|(call, step)| {
                        let ways = mishaps(step.kind, renames).iter();
                        ways.map(move |mishap| Plan::fault(call, *mishap))
                    })
                    .collect()
            }),
            Phase::FaultPairs { .. } => self.fault_pairs(),
            Phase::ModesInRollback { .. } => self.modes_in_rollback(),
            Phase::Races { leases } => self.races(leases),
            Phase::RacesInRecovery => {
                let edits = self.edits("in recovery");
                self.in_recovery(&|run| {
                    let all = (0..=run.steps.len())
                        .flat_map(|call| edits.iter().map(move |edit| (call, edit.clone())));
                    all.map(|(call, edit)| Plan::edit(call, edit)).collect()
                })
            }
            Phase::RacesInRollback => self.races_in_rollback(),
            Phase::RacesInPairs { count, seed, .. } => self.races_in_pairs(count, seed),
            Phase::SavesInTurn { .. } => self.saves_in_turn(),
            Phase::HeldShut => self.held_shut(),
            Phase::RacesInReplacement => self.races_in_replacement(),
            Phase::EditsAroundCuts { count, seed, .. } => self.edits_around_cuts(count, seed),
        }
    }
}

impl Bounds {
    /// For kills, whose states are few.
    pub fn kill() -> Self {
        let cap = StateCap { contents: 1, names: 1, seed: 0 };
        Self { cap, depth: 0, deeper_every: 0 }
    }
}

impl Run {
    /// Whether a user saved something in it.
    pub fn has_saves(&self) -> bool {
        self.log.entries.iter().any(|e| matches!(e, atomic_fs::simulated::Entry::Saved(_)))
    }

    /// Whether the second state's process died in it.
    pub fn other_died(&self) -> bool {
        use atomic_fs::simulated::Entry;
        self.log.entries.iter().any(|entry| matches!(entry, Entry::OtherEnded(None)))
    }

    /// Whether it is an apply that was answered as having changed nothing.
    pub fn left_unchanged(&self) -> bool {
        matches!(self.ending, Ending::Applied { answer: Answer::Unchanged, .. })
    }
}
