//! Why a patch cannot be read, and why one does not fit.

use crate::limits::PATCH_BYTES_MAX;

/// The patch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// There is no change in it in any format known here.
    #[error(
        "there is no change in the patch: give a unified or git diff, or one that begins with `*** Begin Patch`"
    )]
    NoPatch,
    /// It is longer than is read.
    #[error("the patch has {bytes} bytes, more than {PATCH_BYTES_MAX}: split it")]
    TooLarge {
        /// How long it is.
        bytes: u64,
    },
    /// It has more lines than are read.
    #[error("the patch has more than {max} lines: split it")]
    TooManyLines {
        /// How many are read.
        max: usize,
    },
    /// A line is not what the format has there.
    #[error("line {line} of the patch: {reason}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It ends before what it has begun to say does.
    #[error("line {line} of the patch: the patch ends in the middle of it: it was cut off")]
    CutOff {
        /// The last line, counted from 1.
        line: usize,
    },
    /// The format can say it, and it is not done here.
    #[error("line {line} of the patch: {what}")]
    Unsupported {
        /// The line, counted from 1.
        line: usize,
        /// What is asked for, and what to do instead.
        what: &'static str,
    },
    /// A name that cannot be a file's in a workspace.
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
    #[error("line {line} of the patch: `{name}` is changed twice: bring its changes together")]
    NamedTwice {
        /// The line of the second one, counted from 1.
        line: usize,
        /// The name, escaped.
        name: String,
    },
    /// A part whose name may mean one of two files.
    #[error(
        "line {line} of the patch may mean `{one}` or `{other}`: name the file behind `a/` and `b/`, as git does"
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

/// One file's change does not fit the bytes that are there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MisfitError {
    /// What the hunk removes or keeps is not there.
    #[error(
        "hunk {hunk} (line {line} of the patch) does not fit: at line {at} it expects {expected}, and there is {found}"
    )]
    NotFound {
        /// The hunk, counted from 1 within the file.
        hunk: usize,
        /// Where it begins in the patch, counted from 1.
        line: usize,
        /// The line of the file at which they part, counted from 1.
        at: usize,
        /// The line that is expected there, escaped.
        expected: String,
        /// The line that is there, escaped.
        found: String,
    },
    /// The hunk would fit in more than one place.
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
    /// Not even the first line of what the hunk removes or keeps is there.
    #[error(
        "hunk {hunk} (line {line} of the patch) does not fit: {expected} is no line of the file{below}"
    )]
    Nowhere {
        /// The hunk, counted from 1 within the file.
        hunk: usize,
        /// Where it begins in the patch, counted from 1.
        line: usize,
        /// The line that is expected, escaped.
        expected: String,
        /// Which part of the file was looked at: nothing, or `below line N`.
        below: String,
    },
    /// The hunk fits, but not where it would have to.
    #[error("hunk {hunk} (line {line} of the patch) {reason}")]
    Misplaced {
        /// The hunk, counted from 1 within the file.
        hunk: usize,
        /// Where it begins in the patch, counted from 1.
        line: usize,
        /// What keeps it from being put anywhere.
        reason: String,
    },
    /// A deletion that leaves something.
    #[error(
        "the patch deletes the file and leaves {bytes} bytes of it: it was made from another one"
    )]
    NotEmptied {
        /// How much would be left.
        bytes: usize,
    },
    /// The file or the search is larger than is done here.
    #[error("{what} is limited to {max}: write the file whole")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// To how much.
        max: usize,
    },
}
