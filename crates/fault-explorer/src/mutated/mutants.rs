//! The broken variants by name, and the one that this thread runs.

use std::cell::Cell;

include!(concat!(env!("OUT_DIR"), "/list.rs"));

thread_local! {
    static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Makes this thread run a broken variant, or the real thing again.
pub fn activate(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

pub(crate) fn is_active(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}
