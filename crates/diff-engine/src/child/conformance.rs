//! The conformance kit over a library, in children of its own.

use std::time::{Duration, Instant};

use strategy_testkit::Check;

use super::process::{Child, Fault};
use super::{CheckOutcome, ChildLimits, Conformance, PluginHost};
use crate::registry::Library;

/// Runs every check of `strategy-testkit` over a library.
///
/// A check has `time_allowed`; one that crashes or overruns fails, with the pair of files it was
/// at, and the next one gets a new child. `library.name` is not looked at.
///
/// # Errors
///
/// Why the library could not be loaded at all.
pub fn test_library(
    host: &PluginHost,
    library: &Library,
    limits: ChildLimits,
    time_allowed: Duration,
) -> Result<Conformance, String> {
    let start = || {
        let until = Instant::now() + START_ALLOWED;
        Child::start(host, library, limits, until).map_err(|fault| match fault {
            Fault::NotStarted(why) | Fault::GaveUp(why) | Fault::Misbehaved(why) => why,
            Fault::Gone => "the plugin host ended at once".to_owned(),
        })
    };
    let mut child = Some(start()?);
    let (name, version) =
        child.as_ref().map_or_else(Default::default, |c| (c.name.clone(), c.version.clone()));
    let mut checks = Vec::with_capacity(Check::ALL.len());
    for check in Check::ALL {
        let begun = Instant::now();
        let outcome = match child.take().map_or_else(start, Ok) {
            Ok(mut running) => {
                let outcome = running.check(check, time_allowed);
                if outcome.is_ok() {
                    child = Some(running);
                }
                outcome
            }
            Err(why) => Err(why),
        };
        checks.push(CheckOutcome {
            claim: check.claim(),
            took: begun.elapsed(),
            failed: outcome.err(),
        });
    }
    Ok(Conformance { name, version, checks })
}

/// How long a library may take to be loaded.
const START_ALLOWED: Duration = Duration::from_secs(10);
