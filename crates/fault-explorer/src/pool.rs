//! Independent jobs side by side; what they come to does not depend on how many run at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::fixture::Fixture;

/// Runs every job and returns the results in the jobs' order; after the deadline a job ends at once.
/// `done` is called after each, in any order.
///
/// # Errors
/// Where no fixture can be made.
pub fn run_all<J: Sync, T: Send>(
    jobs: &[J],
    deadline: Option<Instant>,
    run: impl Fn(&J, &Fixture) -> T + Sync,
    done: impl Fn(&J, &T) + Sync,
) -> miette::Result<Vec<T>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let fixture = |_| Ok(Fixture::new()?.until(deadline));
    let benches = (0..workers).map(fixture).collect::<miette::Result<Vec<_>>>()?;
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for fixture in &benches {
            let (next, results, run, done) = (&next, &results, &run, &done);
            scope.spawn(move || {
                while let Some((at, job)) = take(next, jobs) {
                    let result = run(job, fixture);
                    done(job, &result);
                    results
                        .lock()
                        .expect("no job panics while it holds the lock")
                        .push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("all workers have ended");
    results.sort_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

fn take<'j, J>(next: &AtomicUsize, jobs: &'j [J]) -> Option<(usize, &'j J)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(at).map(|job| (at, job))
}
