//! A diff as a person reads it on a terminal: coloured by kind of line, with
//! nothing in it that hides or steers the terminal.

use std::io::{self, Write};

use staging_core::escape_line_for_display;

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";

/// Writes a git-style patch for people.
pub(crate) struct Painter<W: Write> {
    out: W,
    is_coloured: bool,
    line: Vec<u8>,
    /// Lines left in this hunk, on the old and the new side.
    left: (u64, u64),
}

impl<W: Write> Painter<W> {
    pub(crate) fn new(out: W, is_coloured: bool) -> Self {
        Self { out, is_coloured, line: Vec::new(), left: (0, 0) }
    }

    fn end_line(&mut self) -> io::Result<()> {
        // The first character of a hunk's line is the diff's own, and no mark may cover it.
        let is_in_hunk =
            self.left != (0, 0) && matches!(self.line.first(), Some(b' ' | b'+' | b'-' | b'\\'));
        let colour = self.colour();
        let (line, ending) = match self.line.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (self.line.as_slice(), ""),
        };
        let (kind, rest) = line.split_at(usize::from(is_in_hunk));
        let (kind, text) = (escape_line_for_display(kind), escape_line_for_display(rest));
        let written = match colour.filter(|_| self.is_coloured) {
            Some(colour) => write!(self.out, "{colour}{kind}{text}{RESET}{ending}"),
            None => write!(self.out, "{kind}{text}{ending}"),
        };
        self.line.clear();
        written
    }

    /// What kind of line it is; a removed line may look like a header, so lines of
    /// a hunk are counted.
    fn colour(&mut self) -> Option<&'static str> {
        let (old, new) = &mut self.left;
        if (*old, *new) != (0, 0) {
            let (takes_old, takes_new, colour) = match self.line.first() {
                Some(b'-') => (1, 0, Some(RED)),
                Some(b'+') => (0, 1, Some(GREEN)),
                Some(b'\\') => (0, 0, None),
                _ => (1, 1, None),
            };
            *old = old.saturating_sub(takes_old);
            *new = new.saturating_sub(takes_new);
            return colour;
        }
        if let Some(left) = hunk_lengths(&self.line) {
            self.left = left;
            return Some(CYAN);
        }
        let headers: [&[u8]; 9] = [
            b"diff --git ",
            b"--- ",
            b"+++ ",
            b"index ",
            b"old mode ",
            b"new mode ",
            b"new file ",
            b"deleted file ",
            b"rename ",
        ];
        headers.iter().any(|header| self.line.starts_with(header)).then_some(BOLD)
    }
}

impl<W: Write> Write for Painter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.end_line()?;
        }
        self.out.flush()
    }
}

/// How many lines a hunk has on each side: `@@ -1,2 +3 @@` has 2 and 1.
fn hunk_lengths(line: &[u8]) -> Option<(u64, u64)> {
    let line = std::str::from_utf8(line.strip_prefix(b"@@ -")?.split(|b| *b == b'@').next()?);
    let (old, new) = line.ok()?.trim_end().split_once(" +")?;
    let length = |range: &str| match range.split_once(',') {
        Some((_, length)) => length.parse().ok(),
        None => Some(1),
    };
    Some((length(old)?, length(new)?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DIFF: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n same\n--- a\n+++ b\n\
                        diff --git a/y b/y\n";

    fn painted(diff: &[u8], is_coloured: bool, piece: usize) -> String {
        let mut painter = Painter::new(Vec::new(), is_coloured);
        for piece in diff.chunks(piece) {
            painter.write_all(piece).expect("a Vec takes everything");
        }
        painter.flush().expect("a Vec takes everything");
        String::from_utf8(painter.out).expect("painted text is UTF-8")
    }

    #[rstest]
    #[case(1)]
    #[case(7)]
    #[case(1000)]
    fn lines_are_coloured_by_their_kind_however_they_arrive(#[case] piece: usize) {
        let expected = "\x1b[1mdiff --git a/x b/x\x1b[0m\n\x1b[1m--- a/x\x1b[0m\n\
            \x1b[1m+++ b/x\x1b[0m\n\x1b[36m@@ -1,2 +1,2 @@\x1b[0m\n same\n\x1b[31m--- a\x1b[0m\n\
            \x1b[32m+++ b\x1b[0m\n\x1b[1mdiff --git a/y b/y\x1b[0m\n";
        assert_eq!(painted(DIFF.as_bytes(), true, piece), expected);
    }

    #[test]
    fn without_colour_a_plain_diff_stays_as_it_is() {
        assert_eq!(painted(DIFF.as_bytes(), false, 9), DIFF);
    }

    #[rstest]
    #[case("+a\tb", "+a\tb")]
    #[case("+\x1b[2Khidden\r", "+^[[2Khidden^M")]
    #[case("-x\u{202e}y", "-x<U+202E>y")]
    #[case("+curl\u{e0063}\u{fe01}\u{3164}", "+curl<U+E0063><U+FE01><U+3164>")]
    #[case("+\u{338}a", "+<U+0338>a")]
    #[case(" zo\u{308}e 👩‍💻", " zo\u{308}e 👩‍💻")]
    fn nothing_in_a_line_hides_or_steers_the_terminal(#[case] line: &str, #[case] expected: &str) {
        let text = painted(format!("@@ -1 +1 @@\n{line}\n").as_bytes(), false, 5);
        assert_eq!(text, format!("@@ -1 +1 @@\n{expected}\n"));
    }

    #[test]
    fn a_line_without_an_end_is_shown_whole() {
        assert_eq!(painted(b"a\xff", false, 1), "a<FF>");
    }
}
