//! Broken variants of the protocol, each of which a search must catch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use atomic_fs::mutants::{Mutant, activate};

use crate::case::Violation;
use crate::phases::Job;
use crate::report::Caught;
use crate::stage::Bench;

/// The mutant with this name.
pub fn named(name: &str) -> Option<Mutant> {
    Mutant::ALL.iter().copied().find(|mutant| mutant.name() == name)
}

/// Whether it is about disks that cannot exchange two names, or refuse to replace one, or found
/// there soonest.
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
            | OtherNameUnsynced
            | LinkedSlotsForgotten
            | SyncFailureForgotten
            | SwappingUnrecorded
    )
}

/// Runs the jobs over a broken variant until one of them catches it.
pub fn hunt(mutant: Mutant, jobs: &[Job], bench: &Bench) -> (Caught, Option<Box<Violation>>) {
    let mut caught = Caught {
        mutant: mutant.name().to_owned(),
        description: mutant.description().to_owned(),
        by: None,
        promise: None,
        after: 0,
    };
    for job in jobs {
        activate(Some(mutant));
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(bench)));
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
