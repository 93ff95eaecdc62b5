//! Tests of the layer's public functions, with real files.
#![allow(clippy::disallowed_methods, reason = "tests act as the user, who edits files")]

mod formats;
mod world;

mod apply;
mod at_once;
mod chains;
mod clock;
mod decisions;
mod edit;
#[cfg(unix)]
mod import;
mod interleaved;
mod kinds;
mod lapsed;
mod lifecycle;
mod links;
mod liveness;
mod model;
mod one_read;
mod propose;
mod recover;
mod refresh;
mod review;
mod revisions;
mod risks;
#[cfg(unix)]
mod rules;
mod rules_races;
mod selection;
mod session_view;
mod shared;
mod shown;
mod size;
mod stale;
mod states;
mod store;
mod undo;
mod undo_part;
