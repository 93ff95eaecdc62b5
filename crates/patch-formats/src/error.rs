//! Why a patch cannot be read or does not fit.

use crate::limits::PATCH_BYTES_MAX;

/// The patch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The patch contains no change in a known format.
    #[error(
        "the patch contains no change: send a unified or git diff, or a patch that begins with `*** Begin Patch`"
    )]
    NoPatch,
    /// The patch is too long.
    #[error("the patch has {bytes} bytes, more than {PATCH_BYTES_MAX}: split it")]
    TooLarge {
        /// Its length in bytes.
        bytes: u64,
    },
    /// The patch has too many lines.
    #[error("the patch has more than {max} lines: split it")]
    TooManyLines {
        /// The limit.
        max: usize,
    },
    /// A line does not follow the format.
    #[error("line {line} of the patch: {reason}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The patch ends in the middle of a part.
    #[error("line {line} of the patch: the patch is cut off here: send all of it")]
    CutOff {
        /// The last line, counted from 1.
        line: usize,
    },
    /// The format allows this, but it is not supported.
    #[error("line {line} of the patch: {what}")]
    Unsupported {
        /// The line, counted from 1.
        line: usize,
        /// What is not supported, and what to do instead.
        what: &'static str,
    },
    /// A name that no file of a workspace can have.
    #[error("line {line} of the patch names `{name}`, {reason}")]
    BadName {
        /// The line, counted from 1.
        line: usize,
        /// The name, escaped.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two parts of the patch change the same file.
    #[error("line {line} of the patch: `{name}` is changed twice: combine its changes")]
    NamedTwice {
        /// The line of the second one, counted from 1.
        line: usize,
        /// The name, escaped.
        name: String,
    },
    /// A part whose name may mean either of two files.
    #[error(
        "line {line} of the patch may mean `{one}` or `{other}`: prefix its names with `a/` and `b/`, as git does"
    )]
    TwoFiles {
        /// The part's line, counted from 1.
        line: usize,
        /// A name, escaped.
        one: String,
        /// Another one.
        other: String,
    },
}

impl PatchError {
    pub(crate) fn malformed(line: usize, reason: impl Into<String>) -> Self {
        Self::Malformed { line, reason: reason.into() }
    }
}

/// One file's change does not fit the file's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MisfitError {
    /// The file does not have what the hunk removes or keeps.
    #[error(
        "hunk {hunk} (line {line} of the patch) does not fit: at line {at} it expects {expected}, but the file has {found}"
    )]
    NotFound {
        /// The hunk, counted from 1 within the file.
        hunk: usize,
        /// Where it begins in the patch, counted from 1.
        line: usize,
        /// The first line of the file that differs, counted from 1.
        at: usize,
        /// The line that the hunk expects there, escaped.
        expected: String,
        /// The line that the file has there, escaped.
        found: String,
    },
    /// The hunk fits at more than one line.
    #[error(
        "hunk {hunk} (line {line} of the patch) is ambiguous: it fits at line {first} and at line {second}; give it more context"
    )]
    Ambiguous {
        /// The hunk, counted from 1 within the file.
        hunk: usize,
        /// Where it begins in the patch, counted from 1.
        line: usize,
        /// A line of the file where it fits, counted from 1.
        first: usize,
        /// Another one.
        second: usize,
    },
    /// The file does not even have the first line that the hunk removes or keeps.
    #[error(
        "hunk {hunk} (line {line} of the patch) does not fit: the file has no line {expected}{below}"
    )]
    Nowhere {
        /// The hunk, counted from 1 within the file.
        hunk: usize,
        /// Where it begins in the patch, counted from 1.
        line: usize,
        /// The line that is expected, escaped.
        expected: String,
        /// The searched part of the file: empty, or `below line N`.
        below: String,
    },
    /// The hunk cannot be applied at the line at which it fits.
    #[error("hunk {hunk} (line {line} of the patch) {reason}")]
    Misplaced {
        /// The hunk, counted from 1 within the file.
        hunk: usize,
        /// Where it begins in the patch, counted from 1.
        line: usize,
        /// Why not.
        reason: String,
    },
    /// A deletion that leaves some content.
    #[error(
        "the patch deletes the file but leaves {bytes} bytes of it: it was made from another version of the file"
    )]
    NotEmptied {
        /// The length of that content.
        bytes: usize,
    },
    /// The file or the search is over a limit.
    #[error("{what} is limited to {max}: write the whole file")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}
