//! Sessions: opening and ending them, and what they see of the tree.

pub(crate) mod decisions;
pub(crate) mod lifecycle;
mod read;
pub(crate) mod view;
