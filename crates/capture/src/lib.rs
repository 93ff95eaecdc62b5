//! A command in a view of its own, and what it wrote there.
//!
//! On Linux a command can run in an overlay of the workspace: it sees the workspace at its own
//! path, and what it writes goes to an *upper* directory instead. This crate knows what such a
//! directory says, and against what each change in it may be proposed:
//!
//! 1. [`survey`](survey()) records what the workspace is before the command starts: [`Snapshot`].
//! 2. [`read_upper`] reads the upper directory, and [`Changes::new`] turns its entries into
//!    changes of files.
//! 3. [`Evidence::verdict`] decides for each change whether it is proven what it was made from.
//!
//! # Limitations
//!
//! Nothing here reads contents, ignore rules or git's index: the caller brings them together. What
//! touches the file system exists on Linux only; the rest is the same everywhere.

mod changes;
mod snapshot;
mod stat;
#[cfg(target_os = "linux")]
mod survey;
#[cfg(target_os = "linux")]
mod upper;
mod verdict;
#[cfg(target_os = "linux")]
mod walk;

pub use changes::{Change, Changes, Entry, EntryKind, NotProposed, Origin};
pub use snapshot::{FormatError, Snapshot};
pub use stat::{Kind, Stat, Timestamp};
#[cfg(target_os = "linux")]
pub use survey::{Survey, survey};
#[cfg(target_os = "linux")]
pub use upper::read_upper;
pub use verdict::{Clocks, Evidence, TICK_NANOS, Upper, Verdict};
