//! The interface between Greenroom and a diff strategy, which is linked in or loaded from a library.
//!
//! A strategy gets two files as lists of line ids (two lines have the same id exactly if their bytes
//! are equal) and returns an edit script: ranges of kept, deleted and inserted lines. It never returns
//! text, so a strategy can make a diff ugly but never wrong: the host validates every script and
//! takes the text from its own copy.
//!
//! ```
//! use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};
//!
//! #[derive(Default)]
//! struct Everything;
//!
//! impl Strategy for Everything {
//!     const NAME: &'static str = "everything";
//!     const VERSION: &'static str = "0.1.0";
//!
//!     fn diff(&self, input: &Input<'_>, _ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
//!         let (old, new) = (input.old.len() as u32, input.new.len() as u32);
//!         Ok([Op::delete(0, 0, old), Op::insert(old, 0, new)]
//!             .into_iter()
//!             .filter(|op| op.len > 0)
//!             .collect())
//!     }
//! }
//!
//! export_strategy!(Everything);
//! # fn main() {}
//! ```
//!
//! Build it with `crate-type = ["cdylib"]`. One library holds one strategy.
//!
//! # Versioning
//!
//! The binary interface is frozen per major version: no field of [`abi::StrategyModule`],
//! [`abi::RawInput`], [`abi::RawCtl`], [`abi::RawScript`] or [`Op`] is ever added, removed,
//! reordered or given another meaning within one. A new capability is a new optional symbol, or a
//! new module with a new major version that the host loads beside this one. Even a field added at the
//! end would break plugins: the layout check requires a plugin to have at least the host's fields, so
//! every plugin built before the addition would be refused.
//!
//! The version of this crate is the version of the interface, because the check compares it too: a
//! plugin built with another major version of the crate is refused, whatever its types are.
//!
//! # Panics
//!
//! [`export_strategy!`] catches panics inside the plugin and returns them as errors, because a panic
//! that crosses the boundary ends the process. A plugin built with `panic = "abort"` is refused at
//! compile time.

#![deny(missing_docs)]

pub mod abi;
mod ctl;
mod export;
mod op;
mod strategy;
pub mod toolbox;
#[doc(hidden)]
pub use export::private as __private;

pub use ctl::Ctl;
pub use op::Op;
pub use strategy::{BoxError, Input, Line, Strategy};
