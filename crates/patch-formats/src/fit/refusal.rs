//! The messages about hunks that do not fit, shared by both formats.

use crate::error::MisfitError;
use crate::fit::near_miss::{NearMiss, near_miss};
use crate::printable::shown;

/// A hunk that may be refused.
#[derive(Clone, Copy)]
pub(crate) struct HunkId {
    /// Counted from 1 within the file.
    pub(crate) hunk: usize,
    /// Where it begins in the patch, counted from 1.
    pub(crate) line: usize,
}

impl HunkId {
    pub(crate) fn misplaced(self, reason: &str) -> MisfitError {
        let Self { hunk, line } = self;
        MisfitError::Misplaced { hunk, line, reason: reason.to_owned() }
    }

    /// It fits at both of these lines of the file, counted from 0.
    pub(crate) fn ambiguous(self, first: usize, second: usize) -> MisfitError {
        let Self { hunk, line } = self;
        MisfitError::Ambiguous { hunk, line, first: first + 1, second: second + 1 }
    }

    /// It differs from the file at line `at`, counted from 0. `expected` is its own line there, or a
    /// description of it; `there` is the file's, `None` after its last line.
    pub(crate) fn not_found(
        self,
        at: usize,
        expected: Result<&[u8], &str>,
        there: Option<&[u8]>,
    ) -> MisfitError {
        let beside = |there: &[u8]| shown_beside(there, expected.ok());
        MisfitError::NotFound {
            hunk: self.hunk,
            line: self.line,
            at: at.saturating_add(1),
            expected: expected.map_or_else(str::to_owned, shown),
            found: there.map_or_else(|| THE_END.to_owned(), beside),
        }
    }
}

/// How a message names the end of the file.
pub(crate) const THE_END: &str = "the end of the file";

/// A line of a file, for a message that shows what a hunk expects instead; also names a difference
/// that is hard to see.
fn shown_beside(there: &[u8], expected: Option<&[u8]>) -> String {
    let text = |line: &[u8]| line.trim_ascii_end().to_vec();
    let near = expected.and_then(|expected| near_miss(&text(there), &text(expected)));
    match near {
        Some(near @ (NearMiss::Composition | NearMiss::Punctuation)) => {
            format!("{}, with {}", shown(there), near.what())
        }
        _ => shown(there),
    }
}
