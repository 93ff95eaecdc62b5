//! The steps of reading a file of the workspace, for tests that play the user.

use atomic_fs::RelPath;

/// A step of reading a file of the workspace.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// The file is about to be opened.
    Opens,
    /// All of it was read; whether it changed meanwhile is checked next.
    WasRead,
    /// What was read becomes the base of a patch.
    IsTaken,
}

/// What is called at each step, on the thread that reads.
pub(crate) type ReadObserver = dyn Fn(ReadStep, &RelPath) + Send + Sync;
