//! Broken variants of the protocol, to show that the tests notice.
//!
//! Each is one thing that the protocol must do, left out. They are compiled in with the
//! feature `mutants` alone; without it [`mutant!`](crate::mutants) is the constant
//! `false` and leaves no code behind.

#[cfg(feature = "mutants")]
use std::cell::Cell;

macro_rules! define {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// One thing left out.
        #[cfg(feature = "mutants")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $($(#[doc = $doc])+ $name,)+
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it leaves out, as a sentence.
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

define! {
    /// New content is not synced before it is swapped in.
    SlotsUnsynced,
    /// The journal is not synced before the first swap.
    JournalUnsynced,
    /// The journal's name is not synced before the first swap.
    JournalNameUnsynced,
    /// Directories are not synced before the answer.
    BarrierTwoSkipped,
    /// The mode of a directory that is made is not synced before files come into it.
    DirModeUnsynced,
    /// A new directory's name is not durable when a file moves into it.
    NewDirectoryUnsynced,
    /// That files have left a directory is not durable when the directory leaves its path.
    ClearedUnsynced,
    /// A directory that was taken away is not brought back with its files.
    ClearedStays,
    /// A file does not come back where its directory is gone.
    ParentsForgotten,
    /// Directories that a set has emptied stay.
    EmptiedStay,
    /// A changed mode is not synced before the answer.
    ModeUnsynced,
    /// The outcome is recorded before the directories are synced.
    CommittedTooEarly,
    /// The outcome is not in the journal when the answer is given.
    CommittedTooLate,
    /// The outcome is in the journal, and not durable, when the answer is given.
    CommittedUnsynced,
    /// That a set was taken back is not in the journal when the answer is given.
    RolledBackTooLate,
    /// The record that barrier 1 is passed is left out.
    SwappingUnrecorded,
    /// A set that fails before its swaps is removed without a record of it.
    AbandonUnrecorded,
    /// A set that fails in its swaps is taken back without a record of it.
    AbortUnrecorded,
    /// What was taken back is answered before it is synced.
    AbortUnsynced,
    /// Slots are removed before the outcome is recorded.
    SlotsRemovedTooEarly,
    /// Slots are not given a time of modification of their own.
    StampLeftOut,
    /// Whoever has the approved content is taken for what the set brought in.
    StampIgnored,
    /// A displaced file is taken for a torn slot where the path has the base's content.
    DisplacedByContent,
    /// What came out of an exchange is not looked at.
    ReplaceUnverified,
    /// A file whose mode was changed is not looked at again.
    ModeUnverified,
    /// What was moved aside is not looked at.
    DeleteUnverified,
    /// What an exchange took out is not given back.
    PutBackSkipped,
    /// A writer who waits for the lease is not noticed.
    LeaseUnchecked,
    /// A file that arrives replaces what is at its path.
    ArrivalReplaces,
    /// A deleted file is removed at once instead of being moved aside.
    DeleteUnlinks,
    /// Going back does not look whether the file is still what was brought in.
    UndoUnchecked,
    /// Going back does not look at what came out.
    UndoUnverified,
    /// A created file is taken back without a look at what was taken.
    DepartureUnverified,
    /// Recovery finishes a set that may not have passed barrier 1.
    RecoveryTooEager,
    /// Recovery finishes a set that was being taken back.
    AbortIgnored,
    /// Recovery leaves what a swap took out of place in the slot.
    DisplacedIgnored,
    /// Recovery removes slots before it records the outcome.
    RecoveryUnrecorded,
    /// Recovery answers before the directories are synced.
    RecoveryBarrierSkipped,
    /// Recovery takes a file with two names for two files.
    SecondNamesKept,
    /// Recovery forgets a file that was half-way through a move.
    HalfMovesForgotten,
    /// Slots are removed without a look at what they hold.
    SlotsRemovedBlindly,
    /// A torn record of the journal is taken for a whole one.
    ChecksumIgnored,
    /// A short write is taken for a whole one.
    ShortWriteIgnored,
    /// New content does not get the owner and attributes of the old.
    MetadataDropped,
    /// Staged content is not compared with what was approved.
    DigestIgnored,
    /// Made directories stay when a set is taken back.
    DirectoriesStay,
    /// A file that was copied to `conflicts/` goes while somebody waits to write to it.
    WaitersShutOut,
    /// What a crash left of a copy to `conflicts/` stays there.
    PartialCopiesStay,
    /// What arrives where a file was moved aside replaces what a user put there.
    GapOverwritten,
    /// A file that was moved aside is not put back where its slot did not arrive.
    AsideNotPutBack,
    /// Recovery does not look for files that were moved aside.
    AsideForgotten,
    /// What was moved aside and stays there is removed without a look at it.
    AsideRemovedBlindly,
    /// A path is taken before it is durable that what was there has another name.
    HandoverUnsynced,
    /// The same where a file is moved aside for its slot.
    AsideUnsynced,
    /// A slot gets what was moved aside before what has arrived is durable.
    ArrivalUnsynced,
    /// The same in recovery.
    SettledUnsynced,
    /// A file is moved aside again before its last way back is durable.
    AsideReusedUnsynced,
    /// One of a file's two names goes before the other is durable.
    OtherNameUnsynced,
    /// Recovery does not look for slots that have arrived and kept their own name.
    LinkedSlotsForgotten,
    /// A directory whose sync has failed is believed when it is synced again.
    SyncFailureForgotten,
    /// A replacement has no backup, so that what it takes out of place is gone.
    BackupNotGiven,
    /// A replacement is made although the name of its backup is taken.
    BackupOverwritten,
    /// A replacement that says that it was made is believed.
    SuccessTrusted,
    /// A replacement that says that it has failed is taken for one that changed nothing.
    FailureTrusted,
    /// What a failed replacement has begun is not finished.
    HalfReplacedUnfinished,
    /// Recovery does not look for what a replacement left half-made.
    HalfReplacedForgotten,
    /// A file that somebody has open for writing is swapped all the same.
    BusyIgnored,
    /// Slots that something else has removed are not written anew.
    SlotsNotRestored,
    /// A file whose goal another file of the set is still to leave is taken for one that arrived.
    CyclesForgotten,
    /// A directory that the set made where a file was is taken for a user's.
    NewDirectoriesForgotten,
    /// Whatever has a slot's name before the swaps is taken for what a crash left of it.
    OthersSlotsTorn,
    /// A file that is gone is taken for one that a user removed where the journal is lost.
    RebuiltUnswapped,
    /// What is written anew is not synced before it is a slot.
    RestoredUnsynced,
    /// A journal is acted on whether its set was begun or not.
    JournalBelieved,
    /// The caller's record of a set whose journal is damaged or gone is left alone.
    RecordIgnored,
    /// A sweep takes the slots of another state as well.
    ForeignSlotsSwept,
    /// That swaps begin is not durable before a file leaves its path.
    RemovalsUnrecorded,
    /// A file whose directory was moved away is taken for one that a user removed.
    AwayForgotten,
}

#[cfg(feature = "mutants")]
thread_local! {
    static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Makes this thread run a broken variant, or the real thing again.
#[cfg(feature = "mutants")]
pub fn activate(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

#[cfg(feature = "mutants")]
pub(crate) fn is_active(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// Whether this broken variant runs.
#[cfg(feature = "mutants")]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_active($crate::mutants::Mutant::$name)
    };
}

/// Whether this broken variant runs: it is not compiled in.
#[cfg(not(feature = "mutants"))]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_compiled_out()
    };
}

/// `false`, as a call: lints take two literals for one condition that is written twice.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is_compiled_out() -> bool {
    false
}

pub(crate) use mutant;
