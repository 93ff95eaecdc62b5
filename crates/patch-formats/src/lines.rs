//! Lines of a content: they end at a line feed and nowhere else.

use crate::error::MisfitError;

/// The most lines that a file may have to be changed by a patch.
pub const FILE_LINES_MAX: usize = 8_000_000;

/// The lines, each with its line feed, which the last one may lack.
pub(crate) fn split(content: &[u8]) -> Result<Vec<&[u8]>, MisfitError> {
    let mut lines = Vec::new();
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', content).map(|at| at + 1) {
        lines.push(&content[from..end]);
        from = end;
        if lines.len() > FILE_LINES_MAX {
            let what = "how many lines a file has";
            return Err(MisfitError::Limit { what, max: FILE_LINES_MAX });
        }
    }
    if from < content.len() {
        lines.push(&content[from..]);
    }
    Ok(lines)
}

/// The line endings of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endings {
    /// No line ends.
    None,
    /// Line feeds alone.
    Lf,
    /// Carriage return and line feed, throughout.
    CrLf,
    Mixed,
}

impl Endings {
    pub(crate) fn of<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut endings = Self::None;
        for line in lines.into_iter().filter(|line| line.ends_with(b"\n")) {
            let this = if line.ends_with(b"\r\n") { Self::CrLf } else { Self::Lf };
            if endings == Self::None {
                endings = this;
            } else if endings != this {
                return Self::Mixed;
            }
        }
        endings
    }
}

/// UTF-8's byte order mark.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";
