//! Reads a patch line by line.

use crate::error::PatchError;
use crate::lines::BOM;

/// What precedes every line and is not part of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Margin {
    None,
    /// At most this many blanks.
    Blanks(usize),
    /// Any number of tabs.
    Tabs,
}

impl Margin {
    fn strip(self, line: &[u8]) -> &[u8] {
        let width =
            |byte: u8, max: usize| line.iter().take(max).take_while(|b| **b == byte).count();
        match self {
            Self::None => line,
            Self::Blanks(max) => &line[width(b' ', max)..],
            Self::Tabs => &line[width(b'\t', line.len())..],
        }
    }
}

/// The lines of a patch from a line on.
#[derive(Clone)]
pub(crate) struct Reader<'p> {
    rest: &'p [u8],
    line: usize,
    pub(crate) margin: Margin,
    /// Whether every line of the patch ends in CR LF; the last one may have no end.
    pub(crate) is_crlf: bool,
}

impl<'p> Reader<'p> {
    pub(crate) fn new(text: &'p [u8]) -> Self {
        // A mark at the beginning is not part of the patch.
        let text = text.strip_prefix(BOM).unwrap_or(text);
        let ends = |at: usize| at > 0 && text[at - 1] == b'\r';
        let mut feeds = memchr::memchr_iter(b'\n', text).peekable();
        let is_crlf = feeds.peek().is_some() && feeds.all(ends);
        Self { rest: text, line: 1, margin: Margin::None, is_crlf }
    }

    /// The number of the next line, counted from 1.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// The next line with its end, without the margin.
    pub(crate) fn peek_full(&self) -> Option<&'p [u8]> {
        let bytes = self.line_bytes();
        (bytes > 0).then(|| self.margin.strip(&self.rest[..bytes]))
    }

    fn line_bytes(&self) -> usize {
        memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1)
    }

    /// The next line without its end.
    pub(crate) fn peek(&self) -> Option<&'p [u8]> {
        let full = self.peek_full()?;
        let line = full.strip_suffix(b"\n").unwrap_or(full);
        Some(if self.is_crlf { line.strip_suffix(b"\r").unwrap_or(line) } else { line })
    }

    pub(crate) fn next(&mut self) {
        let bytes = self.line_bytes();
        if bytes > 0 {
            self.rest = &self.rest[bytes..];
            self.line += 1;
        }
    }

    /// Goes to the next line that is not blank.
    pub(crate) fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.trim_ascii().is_empty()) {
            self.next();
        }
    }

    /// The next line of a header, without a CR at its end: names that end in one are in quotes.
    pub(crate) fn peek_header(&self) -> Option<&'p [u8]> {
        self.peek().map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Whether the next line is the last one and has no end.
    pub(crate) fn is_cut(&self) -> bool {
        self.peek_full().is_some_and(|line| !line.ends_with(b"\n"))
    }

    /// Refuses a last line without an end if it may be the beginning of a longer one.
    pub(crate) fn check_cut(&self) -> Result<(), PatchError> {
        let is_cut = self.is_cut() && self.peek().is_some_and(may_be_cut_off);
        if is_cut { Err(PatchError::CutOff { line: self.line }) } else { Ok(()) }
    }

    /// Whether a `---` line, a `+++` line and a hunk come next.
    pub(crate) fn at_file_names(&self) -> bool {
        let mut ahead = self.clone();
        [&b"--- "[..], b"+++ ", b"@@ -"].into_iter().all(|head| {
            let is_next = ahead.peek().is_some_and(|line| line.starts_with(head));
            ahead.next();
            is_next
        })
    }

    /// Whether a file's `---` and `+++` lines are the last ones, so that its hunks are missing.
    pub(crate) fn at_last_file_names(&self) -> bool {
        let mut ahead = self.clone();
        let Some(old) = ahead.peek().filter(|line| line.starts_with(b"--- ")) else { return false };
        ahead.next();
        let new = ahead.peek();
        ahead.next();
        let is_name =
            [&b"--- a/"[..], b"--- \"a/", b"--- /dev/null"].iter().any(|n| old.starts_with(n));
        ahead.peek().is_none() && new.map_or(is_name, |line| line.starts_with(b"+++ "))
    }
}

/// How the lines of a patch begin that are not text around it.
const BEGINNINGS: [&[u8]; 19] = [
    b"diff --git ",
    b"--- ",
    b"+++ ",
    b"@@ -",
    b"index ",
    b"old mode ",
    b"new mode ",
    b"new file mode ",
    b"deleted file mode ",
    b"rename from ",
    b"rename to ",
    b"rename old ",
    b"rename new ",
    b"copy from ",
    b"copy to ",
    b"similarity index ",
    b"dissimilarity index ",
    b"GIT binary patch",
    b"Binary files ",
];

/// Whether a last line without an end may be the beginning of one of these.
pub(crate) fn may_be_cut_off(line: &[u8]) -> bool {
    !line.is_empty()
        && BEGINNINGS.iter().any(|head| line.starts_with(head) || head.starts_with(line))
}
