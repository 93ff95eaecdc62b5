//! The steps of reading a file of the workspace, for tests that play the user.

use atomic_fs::RelPath;

/// A step of reading a file of the workspace.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// The file is about to be opened.
    Opens,
    /// All of it has been read, and it was not looked yet whether it changed meanwhile.
    WasRead,
    /// What was read is what a patch will rest on.
    IsTaken,
}

/// What is called at each step, on the thread that reads.
pub(crate) type ReadObserver = dyn Fn(ReadStep, &RelPath) + Send + Sync;
