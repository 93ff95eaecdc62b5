//! Opening and ending sessions, and the tree as a session sees it.

pub(crate) mod decisions;
pub(crate) mod lifecycle;
mod read;
pub(crate) mod view;
