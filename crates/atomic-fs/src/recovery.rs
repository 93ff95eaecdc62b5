//! What finishes or undoes a change set that a dead process left.

pub(crate) mod recover;

pub(crate) mod conflicts;
pub(crate) mod inspect;
pub(crate) mod restore;
pub(crate) mod sweep;
pub(crate) mod take_back;
