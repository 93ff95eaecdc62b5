//! Risks: what a reviewer should know of a patch before reading its diff.
//!
//! The risks of one patch are computed when it is staged, from its row and its contents, and stored
//! with it. [`SetRisk`](set::SetRisk) gathers those of a set by kind and adds what only the set shows.

pub(crate) mod kind;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod of_contents;
pub(crate) mod of_row;
pub(crate) mod set;
