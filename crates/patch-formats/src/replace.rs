//! Search and replace: one piece of text for another.

pub(crate) mod in_turn;
pub(crate) mod once;
mod pieces;
