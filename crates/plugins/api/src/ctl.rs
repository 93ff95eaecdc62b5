//! How the host tells a running strategy to stop, and how a strategy says it took a short cut.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The host's hand on one running diff.
#[derive(Debug)]
pub struct Ctl<'a> {
    cancelled: &'a AtomicBool,
    deadline: Option<Instant>,
    degraded: Cell<bool>,
}

impl<'a> Ctl<'a> {
    /// Control by a flag and, counted from now, a time allowed.
    pub fn new(cancelled: &'a AtomicBool, time_allowed: Option<Duration>) -> Self {
        Self {
            cancelled,
            deadline: time_allowed.and_then(|allowed| Instant::now().checked_add(allowed)),
            degraded: Cell::new(false),
        }
    }

    /// Control that never asks to stop.
    pub fn unlimited() -> Ctl<'static> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Ctl::new(&NEVER, None)
    }

    /// Whether the host no longer wants the answer: it cancelled, or the deadline has passed.
    ///
    /// Ask every few thousand steps; a strategy that goes on is abandoned with its thread or
    /// killed with its process, and is not asked again.
    pub fn should_stop(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Notes that a work budget ran out, so that the script is valid but coarser than the
    /// strategy would otherwise give. The host tells the reader.
    pub fn note_degraded(&self) {
        self.degraded.set(true);
    }

    /// Whether [`Ctl::note_degraded`] was called.
    pub fn degraded(&self) -> bool {
        self.degraded.get()
    }
}
