//! Plain helpers for strategies: building scripts, trimming, anchors, and bounding the work.
//!
//! Nothing here is part of the binary interface; it is ordinary code that a strategy links.

mod anchors;
mod bounded;
mod script;
mod trim;

pub use anchors::unique_anchors;
pub use bounded::{Budget, Match, Stopped, bounded};
pub use script::ScriptBuilder;
pub use trim::{Trim, trim};
