//! Helpers for strategies: building scripts, trimming, anchors, and comparing within a limit of steps.
//!
//! Nothing here is part of the binary interface; it is ordinary code that a strategy links.

mod anchors;
mod coarse;
mod line_up;
mod lineup;
mod myers;
mod script;
mod shared;
mod trim;

pub use anchors::unique_anchors;
pub use lineup::{Lineup, Piece, Stopped};
pub use script::ScriptBuilder;
pub use trim::{Trim, common_end, common_start, trim};
