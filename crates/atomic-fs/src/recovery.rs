//! What finishes or undoes a change set that a dead process left.

pub(crate) mod recover;
pub(crate) mod report;

pub(crate) mod examine;
pub(crate) mod rebuild;

pub(crate) mod away;
pub(crate) mod condition;
pub(crate) mod conflicts;
pub(crate) mod decide;
pub(crate) mod inspect;
pub(crate) mod restore;
pub(crate) mod second_names;
pub(crate) mod sweep;
pub(crate) mod take_back;
