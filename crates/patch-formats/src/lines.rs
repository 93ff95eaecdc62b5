//! The lines of a content, which end at a line feed and nowhere else.

use std::borrow::Cow;

use crate::error::MisfitError;
use crate::limits::FILE_LINES_MAX;

/// The lines, each with its line feed, which the last one may lack.
pub(crate) fn split(content: &[u8]) -> Result<Vec<&[u8]>, MisfitError> {
    let mut lines = Vec::new();
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', content).map(|at| at + 1) {
        lines.push(&content[from..end]);
        from = end;
        if lines.len() > FILE_LINES_MAX {
            let what = "the number of lines of a file";
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
    /// No line has an end.
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

/// The end of a line; `None` if it has none.
pub(crate) fn end_of(line: &[u8]) -> Option<&'static [u8]> {
    if line.ends_with(b"\r\n") { Some(b"\r\n") } else { line.ends_with(b"\n").then_some(b"\n") }
}

/// How lines end around a location between lines: the line before it decides, then the one after.
pub(crate) fn end_around(lines: &[&[u8]], at: usize) -> &'static [u8] {
    let near = [at.checked_sub(1), Some(at), at.checked_sub(2)];
    let ends = near.into_iter().flatten().filter_map(|at| lines.get(at)).copied();
    ends.filter_map(end_of).next().unwrap_or(b"\n")
}

/// The ends of removed lines, for the lines that replace them.
#[derive(Default)]
pub(crate) struct FreedEnds {
    ends: Vec<Option<&'static [u8]>>,
    given: usize,
}

impl FreedEnds {
    /// Records a removed line.
    pub(crate) fn take(&mut self, line: &[u8]) {
        self.ends.push(end_of(line));
    }

    /// Forgets the removed lines, because a kept line follows them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The end for the next added line, before line `at` of the file.
    pub(crate) fn give(&mut self, lines: &[&[u8]], at: usize) -> &'static [u8] {
        let freed = self.ends.get(self.given).copied().flatten();
        self.given += 1;
        freed.unwrap_or_else(|| end_around(lines, at))
    }
}

/// UTF-8's byte order mark.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// A content's byte order mark and the rest. If the patch mentions a mark, it counts as a part of its
/// line.
pub(crate) fn split_mark<'c, 'p>(
    content: &'c [u8],
    mut patch_lines: impl Iterator<Item = &'p [u8]>,
) -> (&'c [u8], &'c [u8]) {
    match content.strip_prefix(BOM) {
        Some(text) if !patch_lines.any(|line| line.starts_with(BOM)) => (BOM, text),
        _ => (b"", content),
    }
}

/// A text with its CR LF replaced by line feeds.
pub(crate) struct LfText<'t> {
    pub(crate) text: Cow<'t, [u8]>,
    /// The line feeds that had a carriage return before them.
    returned: Vec<usize>,
}

impl<'t> LfText<'t> {
    pub(crate) fn of(text: &'t [u8]) -> Self {
        let mut folded = Vec::new();
        let (mut copied, mut returned) = (0, Vec::new());
        for at in memchr::memmem::find_iter(text, b"\r\n") {
            folded.extend_from_slice(&text[copied..at]);
            returned.push(folded.len());
            copied = at + 1;
        }
        if returned.is_empty() {
            return Self { text: Cow::Borrowed(text), returned };
        }
        folded.extend_from_slice(&text[copied..]);
        Self { text: Cow::Owned(folded), returned }
    }

    /// The offset in the original text.
    pub(crate) fn original(&self, at: usize) -> usize {
        at + self.returned.partition_point(|feed| *feed < at)
    }
}
