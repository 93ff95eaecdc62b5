//! Independent calls to the disk, several in flight at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::os::disk::Disk;

/// Calls that do not sync find what they need in memory most of the time and wait on the
/// processor: more threads than these cost more in switching than a slow disk gives back.
const READS_IN_FLIGHT: usize = 8;

/// A thread costs about as much as a few looks at files in memory. One more is started each time
/// that looks have taken this long, all of them at once where the first look waits for a disk.
const READS_PER_THREAD: Duration = Duration::from_micros(300);

/// How many calls are in flight at most, and how soon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    /// With 1 the calls happen one after the other in order, which a simulated disk needs to
    /// repeat a run.
    pub calls: usize,
    /// How long the calls take before each further thread is started.
    per_thread: Duration,
}

/// For calls that do not sync.
pub(crate) fn reads(disk: &impl Disk) -> InFlight {
    InFlight { calls: disk.calls_in_flight().min(READS_IN_FLIGHT), per_thread: READS_PER_THREAD }
}

/// For calls that sync, and wait for the disk each time.
pub(crate) fn syncs(disk: &impl Disk) -> InFlight {
    InFlight { calls: disk.calls_in_flight(), per_thread: Duration::ZERO }
}

/// Runs `task` for every index below `count` and returns the answers in order.
pub(crate) fn for_each<T: Send>(
    in_flight: InFlight,
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
    in_flight: InFlight,
    count: usize,
    task: impl Fn(usize) -> Result<T, E> + Sync,
) -> Vec<(usize, Result<T, E>)> {
    run(in_flight, count, task, Result::is_err)
}

fn run<T: Send>(
    in_flight: InFlight,
    count: usize,
    task: impl Fn(usize) -> T + Sync,
    ends_it: impl Fn(&T) -> bool + Sync,
) -> Vec<(usize, T)> {
    let workers = in_flight.calls.min(count);
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
    // Whether there was one left to do.
    let do_one = || {
        if ended.load(Ordering::Relaxed) {
            return false;
        }
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return false;
        }
        let answer = task(index);
        if ends_it(&answer) {
            ended.store(true, Ordering::Relaxed);
        }
        answers.lock().expect("no task panics while it holds the lock").push((index, answer));
        true
    };
    let work = || while do_one() {};
    std::thread::scope(|scope| {
        // This thread works as well, so that where the system refuses every other one
        // (RLIMIT_NPROC, a container's pids.max) all is done nevertheless.
        let started = Instant::now();
        let (mut threads, mut is_refused) = (1, false);
        loop {
            let is_due = |threads: usize| {
                let threads = u32::try_from(threads).unwrap_or(u32::MAX);
                started.elapsed() >= in_flight.per_thread.saturating_mul(threads)
            };
            while !is_refused
                && threads < workers
                && next.load(Ordering::Relaxed) < count
                && is_due(threads)
            {
                match spawn(scope, &work) {
                    Ok(()) => threads += 1,
                    Err(error) => {
                        tracing::debug!(%error, "fewer calls are in flight: no more threads");
                        is_refused = true;
                    }
                }
            }
            if !do_one() {
                break;
            }
        }
    });
    let mut answers = answers.into_inner().expect("all workers have ended");
    answers.sort_by_key(|(index, _)| *index);
    answers
}

fn spawn<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: &'scope (dyn Fn() + Sync),
) -> std::io::Result<()> {
    #[cfg(test)]
    if tests::NO_THREADS.get() {
        return Err(std::io::ErrorKind::WouldBlock.into());
    }
    std::thread::Builder::new().spawn_scoped(scope, work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const AT_ONCE: InFlight = InFlight { calls: 8, per_thread: Duration::ZERO };

    #[test]
    fn a_look_that_waits_does_not_hold_up_the_others() {
        // Each waits until all of them have begun.
        let begun = std::sync::Barrier::new(4);
        let slowly = InFlight { calls: 4, per_thread: Duration::from_nanos(1) };
        let answers = for_each(slowly, 5, |index| {
            // The first one alone, since only then threads are started.
            if index > 0 {
                begun.wait();
            }
        });
        assert_eq!(answers.len(), 5);
    }

    thread_local! {
        /// Whether the system is to refuse new threads to this one.
        pub(super) static NO_THREADS: Cell<bool> = const { Cell::new(false) };
    }

    #[test]
    fn everything_is_done_when_no_thread_can_be_made() {
        NO_THREADS.set(true);
        let here = std::thread::current().id();
        let answers = for_each(AT_ONCE, 50, |index| (index, std::thread::current().id()));
        assert_eq!(answers, (0..50).map(|index| (index, here)).collect::<Vec<_>>());
        let answers = until_failure(AT_ONCE, 50, |index| if index == 3 { Err(()) } else { Ok(()) });
        assert_eq!(answers.len(), 4, "nothing begins after the failure");
    }

    #[test]
    fn answers_come_in_order_however_many_are_in_flight() {
        let pauses = [Duration::ZERO, Duration::from_nanos(50), Duration::MAX];
        for (calls, per_thread) in [1, 2, 7, 100].into_iter().flat_map(|n| pauses.map(|p| (n, p))) {
            let answers = for_each(InFlight { calls, per_thread }, 50, |index| index * 2);
            assert_eq!(answers, (0..50).map(|index| index * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_begins_after_a_failure_was_seen() {
        let begun = AtomicUsize::new(0);
        let answers = until_failure(InFlight { calls: 1, ..AT_ONCE }, 50, |index| {
            begun.fetch_add(1, Ordering::Relaxed);
            if index == 3 { Err(index) } else { Ok(index) }
        });
        assert_eq!(answers, [(0, Ok(0)), (1, Ok(1)), (2, Ok(2)), (3, Err(3))]);
        assert_eq!(begun.into_inner(), 4);
    }

    #[test]
    fn everything_that_began_is_answered() {
        let begun = AtomicUsize::new(0);
        let answers = until_failure(AT_ONCE, 200, |index| {
            begun.fetch_add(1, Ordering::Relaxed);
            if index % 10 == 9 { Err(()) } else { Ok(()) }
        });
        assert_eq!(answers.len(), begun.into_inner());
        assert!(answers.iter().any(|(_, answer)| answer.is_err()));
    }
}
