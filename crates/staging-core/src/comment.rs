//! What a reviewer says about single lines.

use atomic_fs::RelPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reviewer's comment for a line of what a patch stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineComment {
    /// The file, where the patch stages it.
    #[schemars(with = "String")]
    pub path: RelPath,
    /// The line, counted from 1.
    pub line: u64,
    /// The line itself, without its end, cut off after 500 bytes; bytes that are not UTF-8 are U+FFFD.
    pub text: String,
    /// What the reviewer says about it.
    pub comment: String,
}

/// A comment that is to be added to a rejected patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewComment {
    /// The file, where the patch stages it.
    pub path: RelPath,
    /// The line, counted from 1.
    pub line: u64,
    /// The comment, of at most 4,000 bytes.
    pub comment: String,
}
