//! Runs the conformance kit on a library, in separate processes.

use std::time::{Duration, Instant};

use strategy_testkit::Check;

use super::child::{Child, Fault};
use super::{CheckOutcome, ChildLimits, Conformance, PluginHost, Threads};
use crate::strategies::library::{Library, check_name, short_for_display};

/// Runs every check of `strategy-testkit` on a library.
///
/// A check has `time_allowed`; one that crashes or takes longer fails, with the pair of files that it
/// was comparing, and the next one gets a new child. `library.name` is ignored.
///
/// # Errors
///
/// Why the library cannot be loaded.
pub fn test_library(
    host: &PluginHost,
    library: &Library,
    limits: ChildLimits,
    time_allowed: Duration,
) -> Result<Conformance, String> {
    let start = |threads| start(host, library, limits, threads);
    let mut child = Some(start(Threads::Refused)?);
    let said = |text: &String| short_for_display(text);
    let (name, version) =
        child.as_ref().map_or_else(Default::default, |c| (said(&c.name), said(&c.version)));
    let mut checks = Vec::with_capacity(Check::ALL.len());
    for check in Check::ALL {
        let begun = Instant::now();
        // Checks that start no threads run under the limits of comparing, which refuse threads.
        let threads = if check.needs_threads() { Threads::Allowed } else { Threads::Refused };
        let fits = child.take().filter(|child| child.threads == threads);
        let outcome = match fits.map_or_else(|| start(threads), Ok) {
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
            failed: outcome.err().as_ref().map(said),
        });
    }
    Ok(Conformance { name, version, checks })
}

/// Loads a library in a child and returns its strategy's name and version.
///
/// `library.name` is ignored.
///
/// # Errors
///
/// Why the library cannot be loaded, or that users cannot type its name.
pub fn inspect_library(
    host: &PluginHost,
    library: &Library,
    limits: ChildLimits,
) -> Result<(String, String), String> {
    let child = start(host, library, limits, Threads::Refused)?;
    check_name(&child.name).map_err(|error| short_for_display(&error.to_string()))?;
    Ok((child.name.clone(), short_for_display(&child.version)))
}

fn start(
    host: &PluginHost,
    library: &Library,
    limits: ChildLimits,
    threads: Threads,
) -> Result<Child, String> {
    let until = Instant::now() + START_ALLOWED;
    Child::start(host, library, limits, threads, until).map_err(|fault| match fault {
        Fault::NotStarted(why) | Fault::GaveUp(why) | Fault::Misbehaved(why) => {
            short_for_display(&why)
        }
        Fault::Gone => "another process ended the plugin host".to_owned(),
    })
}

/// How long a library may take to be loaded.
const START_ALLOWED: Duration = Duration::from_secs(10);
