//! Lets the host stop a running strategy, and a strategy mark its script as coarse.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Controls one running diff.
#[derive(Debug)]
pub struct Ctl<'a> {
    cancelled: &'a AtomicBool,
    deadline: Option<Instant>,
    degraded: Cell<bool>,
}

impl<'a> Ctl<'a> {
    /// Control by a flag and by the time allowed from now on.
    pub fn new(cancelled: &'a AtomicBool, time_allowed: Option<Duration>) -> Self {
        Self {
            cancelled,
            deadline: time_allowed.and_then(|allowed| Instant::now().checked_add(allowed)),
            degraded: Cell::new(false),
        }
    }

    /// Control that never stops the strategy.
    pub fn unlimited() -> Ctl<'static> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Ctl::new(&NEVER, None)
    }

    /// Whether the host does not need the answer any more: it cancelled, or the deadline has passed.
    ///
    /// Call this every few thousand steps. A strategy that goes on is abandoned with its thread or
    /// killed with its process, and is not run again.
    pub fn should_stop(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Marks the script as coarser than usual, because a limit of work was reached. The host adds a
    /// remark.
    pub fn note_degraded(&self) {
        self.degraded.set(true);
    }

    /// Whether [`Ctl::note_degraded`] was called.
    pub fn degraded(&self) -> bool {
        self.degraded.get()
    }
}
