//! End-to-end tests of Greenroom through its public doors.
//!
//! This library is the tests' stage: a temporary workspace with a state directory
//! of its own, and the `greenroom` command run in it as a user would.

mod binary;
mod fixture;
#[cfg(target_os = "linux")]
mod store_lock;
mod tree;

pub use binary::{greenroom_binary, misbehaving_plugin, without_namespaces};
pub use fixture::{Fixture, Machine, Ran, git, output, spawn};
#[cfg(target_os = "linux")]
pub use store_lock::StoreLock;
pub use tree::{Entry, Tree, tree_of};
