//! Broken variants of the protocol, each of which a search must catch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::atomic_fs::mutants::{Mutant, activate};
use crate::atomic_fs::simulated::{Persistence, Renames};

use crate::case::Violation;
use crate::fixture::Fixture;
use crate::phases::{Job, Obstacles, Phase};
use crate::report::MutantOutcome;

/// The mutant with this name.
pub fn named(name: &str) -> Option<Mutant> {
    Mutant::ALL.iter().copied().find(|mutant| mutant.name() == name)
}

/// Whether it is about disks that cannot exchange two names, or refuse to replace one.
pub fn is_of_moving_aside(mutant: Mutant) -> bool {
    use Mutant::*;
    matches!(
        mutant,
        WaitersShutOut
            | PartialCopiesStay
            | GapOverwritten
            | AsideNotPutBack
            | AsideForgotten
            | AsideRemovedBlindly
            | ArrivalUnsynced
            | SettledUnsynced
            | AsideReusedUnsynced
            | AsideUnsynced
            | OtherNameUnsynced
            | LinkedSlotsForgotten
            | SyncFailureForgotten
    )
}

/// Whether it is about what Windows alone does.
pub fn is_of_windows(mutant: Mutant) -> bool {
    use Mutant::*;
    matches!(
        mutant,
        BackupNotGiven
            | BackupOverwritten
            | SuccessTrusted
            | FailureTrusted
            | HalfReplacedUnfinished
            | HalfReplacedForgotten
    )
}

/// Where a variant is caught that would otherwise take long to find.
pub fn soonest(mutant: Mutant, seed: u64) -> Option<Job> {
    let pairs = |model| Phase::RacesInPairs { model, count: 150, seed };
    let around = |model| Phase::EditsAroundCuts { model, count: 600, seed };
    let cuts = |obstacles| {
        let model = Persistence::Weak;
        Phase::Crashes { model, obstacles, depth: 1, deeper_every: 0, cap: 60, seed }
    };
    let removed = |model, depth| Phase::SlotsRemoved { model, depth, cap: 6, seed };
    let in_turn = Phase::SavesInTurn { model: Persistence::Kill, seed };
    let damaged = Phase::JournalsDamaged { model: Persistence::Kill, step: 37, cap: 16, seed };
    let (scenario, renames, phase) = match mutant {
        Mutant::AbandonUnrecorded | Mutant::AbortIgnored | Mutant::AbortUnrecorded => {
            ("M", Renames::All, Phase::PAIRS)
        }
        Mutant::ArrivalUnsynced => ("M", Renames::NoExchange, cuts(Obstacles::All)),
        Mutant::AsideNotPutBack => ("M", Renames::NoExchange, Phase::PAIRS),
        Mutant::AsideRemovedBlindly => ("M", Renames::NoExchange, in_turn),
        Mutant::CommittedTooLate => ("large", Renames::All, Phase::Races { leases: true }),
        Mutant::DepartureUnverified => ("CC", Renames::All, Phase::RacesInRollback),
        Mutant::DisplacedByContent => ("large", Renames::All, around(Persistence::Treelog)),
        Mutant::BusyIgnored => ("M", Renames::All, Phase::Races { leases: true }),
        Mutant::HandoverUnsynced => ("rotation", Renames::All, cuts(Obstacles::All)),
        Mutant::ModeUnverified => ("X", Renames::All, Phase::Races { leases: true }),
        Mutant::RolledBackTooLate => {
            ("X", Renames::All, Phase::ModesInRollback { model: Persistence::Kill })
        }
        Mutant::SettledUnsynced => {
            let (model, obstacles) = (Persistence::Weak, Obstacles::Moves);
            ("M", Renames::NoExchange, Phase::CutsAfterKills { model, obstacles, cap: 16, seed })
        }
        Mutant::SlotsRemovedBlindly => ("M", Renames::All, pairs(Persistence::Kill)),
        Mutant::SwappingUnrecorded => ("large", Renames::Plain, pairs(Persistence::Kill)),
        Mutant::UndoUnchecked => ("large", Renames::All, cuts(Obstacles::All)),
        Mutant::UndoUnverified => ("MM", Renames::All, Phase::RacesInRollback),
        Mutant::SlotsNotRestored => ("MM", Renames::All, removed(Persistence::Kill, 0)),
        Mutant::RestoredUnsynced => ("MM", Renames::All, removed(Persistence::Weak, 1)),
        Mutant::CyclesForgotten => ("rotation", Renames::All, removed(Persistence::Kill, 0)),
        Mutant::NewDirectoriesForgotten => {
            ("file-to-directory", Renames::All, removed(Persistence::Kill, 0))
        }
        Mutant::OthersSlotsTorn => {
            let model = Persistence::Kill;
            ("C", Renames::All, Phase::SlotsReplaced { model, cap: 6, seed })
        }
        Mutant::JournalBelieved => ("M", Renames::All, damaged),
        Mutant::RebuiltUnswapped => ("D", Renames::All, damaged),
        Mutant::RemovalsUnrecorded => ("D", Renames::All, removed(Persistence::Weak, 0)),
        Mutant::AwayForgotten => ("MM", Renames::All, Phase::DirectoriesMoved),
        Mutant::RecordIgnored => ("MM", Renames::All, damaged),
        Mutant::ForeignSlotsSwept => ("M", Renames::All, Phase::BesideRecovery { step: 7 }),
        Mutant::DirModeUnsynced => ("undo-of-emptied", Renames::All, cuts(Obstacles::All)),
        Mutant::NewDirectoryUnsynced => {
            ("undo-of-directory-to-link", Renames::All, cuts(Obstacles::All))
        }
        Mutant::ClearedUnsynced => {
            ("directory-to-file", Renames::All, removed(Persistence::Weak, 0))
        }
        Mutant::ClearedStays => ("directory-to-file", Renames::All, Phase::Faults),
        Mutant::ParentsForgotten => ("directory-to-file", Renames::All, Phase::RacesInRollback),
        Mutant::PartialCopiesStay => ("exchange", Renames::Plain, around(Persistence::Treelog)),
        Mutant::WaitersShutOut => ("D", Renames::Plain, in_turn),
        _ => return None,
    };
    Some(Job { scenario: scenario.to_owned(), renames, phase })
}

/// How many recoveries a search makes before the variant counts as one that nothing catches. The
/// slowest one to be caught takes 43,000.
const SEARCH_RECOVERIES_MAX: u64 = 80_000;

/// Runs the jobs over a broken variant until one of them catches it.
pub fn search<'j>(
    mutant: Mutant,
    jobs: impl Iterator<Item = &'j Job>,
    fixture: &Fixture,
) -> (MutantOutcome, Option<Box<Violation>>) {
    let mut caught = MutantOutcome {
        mutant: mutant.name().to_owned(),
        description: mutant.description().to_owned(),
        by: None,
        promise: None,
        after: 0,
    };
    for job in jobs {
        if caught.after > SEARCH_RECOVERIES_MAX {
            break;
        }
        activate(Some(mutant));
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(fixture)));
        activate(None);
        match outcome {
            Ok(outcome) => {
                caught.after += outcome.counts.recoveries;
                if let Some(mut violation) = outcome.violation {
                    violation.case.mutant = Some(mutant.name().to_owned());
                    caught.by = Some(format!("{} ({})", job.heading(), job.scenario));
                    caught.promise = Some(violation.broken.promise.to_string());
                    return (caught, Some(violation));
                }
            }
            Err(_) => {
                caught.by = Some(format!("panic ({})", job.scenario));
                return (caught, None);
            }
        }
    }
    (caught, None)
}
