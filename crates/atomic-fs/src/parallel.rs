//! Independent calls to the disk, several in flight at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `task` for every index below `count` and returns the answers in order.
///
/// With `in_flight` of 1 the calls happen one after the other in order, which a
/// simulated disk needs to repeat a run.
pub(crate) fn for_each<T: Send>(
    in_flight: usize,
    count: usize,
    task: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let workers = in_flight.min(count);
    if workers <= 1 {
        return (0..count).map(task).collect();
    }
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    crossbeam::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|_| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let answer = task(index);
                    answers
                        .lock()
                        .expect("no task panics while it holds the lock")
                        .push((index, answer));
                }
            });
        }
    })
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let mut answers = answers.into_inner().expect("all workers have ended");
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
