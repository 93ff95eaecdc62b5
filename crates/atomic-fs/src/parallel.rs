//! Independent calls to the disk, several in flight at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::disk::Disk;

/// Calls that do not sync find what they need in memory most of the time and wait on the
/// processor: more threads than these cost more in switching than a slow disk gives back.
const LOOKS_IN_FLIGHT: usize = 8;

/// How many calls that do not sync are worth having in flight.
pub(crate) fn looks(disk: &impl Disk) -> usize {
    disk.calls_in_flight().min(LOOKS_IN_FLIGHT)
}

/// Runs `task` for every index below `count` and returns the answers in order.
///
/// With `in_flight` of 1 the calls happen one after the other in order, which a
/// simulated disk needs to repeat a run.
pub(crate) fn for_each<T: Send>(
    in_flight: usize,
    count: usize,
    task: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let answers = run(in_flight, count, task, |_| false);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Runs `task` for the indices below `count` until one of them fails: those that are
/// under way then come to their end, and no others begin. Returns the indices that were
/// begun, in order, with their answers.
pub(crate) fn until_failure<T: Send, E: Send>(
    in_flight: usize,
    count: usize,
    task: impl Fn(usize) -> Result<T, E> + Sync,
) -> Vec<(usize, Result<T, E>)> {
    run(in_flight, count, task, Result::is_err)
}

fn run<T: Send>(
    in_flight: usize,
    count: usize,
    task: impl Fn(usize) -> T + Sync,
    ends_it: impl Fn(&T) -> bool + Sync,
) -> Vec<(usize, T)> {
    let workers = in_flight.min(count);
    if workers <= 1 {
        let mut answers = Vec::with_capacity(count);
        for index in 0..count {
            let answer = task(index);
            let is_last = ends_it(&answer);
            answers.push((index, answer));
            if is_last {
                break;
            }
        }
        return answers;
    }
    let next = AtomicUsize::new(0);
    let ended = AtomicBool::new(false);
    let answers: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    let work = || {
        while !ended.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let answer = task(index);
            if ends_it(&answer) {
                ended.store(true, Ordering::Relaxed);
            }
            answers.lock().expect("no task panics while it holds the lock").push((index, answer));
        }
    };
    crossbeam::thread::scope(|scope| {
        // This thread works as well, so that where the system refuses every other one
        // (RLIMIT_NPROC, a container's pids.max) all is done nevertheless.
        for _ in 1..workers {
            if let Err(error) = spawn(scope, &work) {
                tracing::debug!(%error, "fewer calls are in flight: no more threads");
                break;
            }
        }
        work();
    })
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let mut answers = answers.into_inner().expect("all workers have ended");
    answers.sort_by_key(|(index, _)| *index);
    answers
}

fn spawn<'env>(
    scope: &crossbeam::thread::Scope<'env>,
    work: &'env (dyn Fn() + Sync),
) -> std::io::Result<()> {
    #[cfg(test)]
    if tests::NO_THREADS.get() {
        return Err(std::io::ErrorKind::WouldBlock.into());
    }
    scope.builder().spawn(move |_| work()).map(drop)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Whether the system is to refuse new threads to this one.
        pub(super) static NO_THREADS: Cell<bool> = const { Cell::new(false) };
    }

    #[test]
    fn everything_is_done_when_no_thread_can_be_made() {
        NO_THREADS.set(true);
        let here = std::thread::current().id();
        let answers = for_each(8, 50, |index| (index, std::thread::current().id()));
        assert_eq!(answers, (0..50).map(|index| (index, here)).collect::<Vec<_>>());
        let answers = until_failure(8, 50, |index| if index == 3 { Err(()) } else { Ok(()) });
        assert_eq!(answers.len(), 4, "nothing begins after the failure");
    }

    #[test]
    fn answers_come_in_order_however_many_are_in_flight() {
        for in_flight in [1, 2, 7, 100] {
            let answers = for_each(in_flight, 50, |index| index * 2);
            assert_eq!(answers, (0..50).map(|index| index * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_begins_after_a_failure_was_seen() {
        let begun = AtomicUsize::new(0);
        let answers = until_failure(1, 50, |index| {
            begun.fetch_add(1, Ordering::Relaxed);
            if index == 3 { Err(index) } else { Ok(index) }
        });
        assert_eq!(answers, [(0, Ok(0)), (1, Ok(1)), (2, Ok(2)), (3, Err(3))]);
        assert_eq!(begun.into_inner(), 4);
    }

    #[test]
    fn everything_that_began_is_answered() {
        let begun = AtomicUsize::new(0);
        let answers = until_failure(8, 200, |index| {
            begun.fetch_add(1, Ordering::Relaxed);
            if index % 10 == 9 { Err(()) } else { Ok(()) }
        });
        assert_eq!(answers.len(), begun.into_inner());
        assert!(answers.iter().any(|(_, answer)| answer.is_err()));
    }
}
