//! Locks whose data is whole even when a thread panicked under them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic under one of these locks leaves nothing half-done: transactions roll
/// back when they are dropped.
pub(crate) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
