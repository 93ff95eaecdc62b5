//! What is explored: crashes, faults, and users' edits, over one scenario at a time.
//!
//! `table` has a row for each phase: under which heading it is counted, over which states, and
//! which function explores it. Those functions are sorted by what they do to a set.

use crate::atomic_fs::simulated::Persistence;

mod job;
mod table;
mod work;

mod crashes;
mod edits;
mod faults;
mod others;
mod windows;

pub use job::{Job, Outcome};

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
        /// As in [`Phase::Crashes`].
        obstacles: Obstacles,
        /// As in [`Phase::Crashes`].
        cap: usize,
        /// As in [`Phase::Crashes`].
        seed: u64,
    },
    /// A user's edit after every power cut, before recovery.
    EditsAfterCuts {
        /// The model.
        model: Persistence,
        /// As in [`Phase::Crashes`].
        cap: usize,
        /// As in [`Phase::Crashes`].
        seed: u64,
    },
    /// Any of the slots taken away after a crash, before recovery.
    SlotsRemoved {
        /// The model.
        model: Persistence,
        /// How many crashes in recovery follow.
        depth: u8,
        /// As in [`Phase::Crashes`].
        cap: usize,
        /// As in [`Phase::Crashes`].
        seed: u64,
    },
    /// Slots that are something else, or somewhere else, after a crash.
    SlotsReplaced {
        /// The model.
        model: Persistence,
        /// As in [`Phase::Crashes`].
        cap: usize,
        /// As in [`Phase::Crashes`].
        seed: u64,
    },
    /// A journal that was damaged after a crash.
    JournalsDamaged {
        /// The model.
        model: Persistence,
        /// From one byte that is damaged to the next.
        step: usize,
        /// As in [`Phase::Crashes`].
        cap: usize,
        /// As in [`Phase::Crashes`].
        seed: u64,
    },
    /// A second state over the same tree, before every `step`-th call of an apply.
    Beside {
        /// From one call to the next.
        step: usize,
    },
    /// The same before the calls of every recovery from a kill.
    BesideRecovery {
        /// From one call to the next.
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
}
