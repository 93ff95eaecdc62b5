//! The strategies that compare lines: which there are, and how each one is run.

pub(crate) mod library;
pub(crate) mod loading;
pub(crate) mod process;
pub(crate) mod registry;
pub(crate) mod runner;
