//! The promises, and the report of a broken one.

use serde::{Deserialize, Serialize};

use crate::scenario::ROOT;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// A set is on disk whole or not at all, metadata included.
    Whole,
    /// What was answered is so, and stays so.
    Answer,
    /// Every byte string that a user saved is found.
    Edits,
    /// Approved changes are made over what was reviewed, and over nothing else.
    Reviewed,
    /// No file holds anything but old, new or a user's content.
    Untorn,
    /// Nothing outside the workspace is touched.
    Outside,
    /// Nothing is left behind.
    Clean,
    /// Recovery comes to an end, and a second one changes nothing.
    Recovery,
    /// A file that stays at its path is there when the answer is given.
    Present,
    /// A replacement that was begun is finished, whatever the call said that made it.
    Finished,
}

impl std::fmt::Display for Promise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole => "a change set is on disk whole or not at all",
            Self::Answer => "what was answered is on disk, and stays",
            Self::Edits => "no edit of a user is lost",
            Self::Reviewed => "changes are made over what was reviewed",
            Self::Untorn => "no file is torn",
            Self::Outside => "nothing outside the workspace is touched",
            Self::Clean => "nothing is left behind",
            Self::Recovery => "recovery ends, and a second one changes nothing",
            Self::Present => "a file that stays at its path is there when the answer is given",
            Self::Finished => "a replacement that was begun is finished",
        })
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The promise.
    pub promise: Promise,
    /// What broke it, as a sentence.
    pub details: String,
}
/// A path from the top of the simulated disk, as one relative to the workspace's root.
pub(super) fn below_root(path: &[u8]) -> &[u8] {
    let below = path.strip_prefix(ROOT.as_bytes()).unwrap_or(path);
    below.strip_prefix(b"/").unwrap_or(below)
}

pub(super) fn broken<T>(promise: Promise, details: impl FnOnce() -> String) -> Result<T, Broken> {
    Err(Broken { promise, details: details() })
}
