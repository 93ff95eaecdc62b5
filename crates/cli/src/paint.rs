//! A diff as a person reads it on a terminal: coloured by kind of line, the changed words of changed
//! lines emphasized, and nothing in it that hides or steers the terminal.
//!
//! Without its colours the text is the same, byte for byte.

use std::io::{self, Write};
use std::ops::Range;

use emphasis::{BYTES_MAX, Emphasis, LINES_MAX};
use staging_core::escape_line_for_display;

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const REVERSED: &str = "\x1b[7m";
const NOT_REVERSED: &str = "\x1b[27m";

/// Writes a git-style patch for people.
pub(crate) struct Painter<W: Write> {
    out: W,
    is_coloured: bool,
    line: Vec<u8>,
    /// Lines left in this hunk, on the old and the new side.
    left: (u64, u64),
    /// Removed lines and the added lines behind them, until their words are compared.
    change: Change,
    /// That of this file.
    emphasis: Emphasis,
}

#[derive(Default)]
struct Change {
    lines: Vec<Line>,
    bytes: usize,
    has_added: bool,
    /// It is written line by line: it is too long to be compared.
    is_long: bool,
}

/// A line of a hunk, as it is shown.
struct Line {
    kind: char,
    text: String,
    ending: &'static str,
}

impl<W: Write> Painter<W> {
    pub(crate) fn new(out: W, is_coloured: bool) -> Self {
        Self {
            out,
            is_coloured,
            line: Vec::new(),
            left: (0, 0),
            change: Change::default(),
            emphasis: Emphasis::default(),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        // The first character of a hunk's line is the diff's own, and no mark may cover it.
        let kind = self.line.first().filter(|kind| b" +-\\".contains(kind) && self.left != (0, 0));
        let kind = kind.map(|kind| char::from(*kind));
        let colour = self.colour().filter(|_| self.is_coloured);
        let (line, ending) = match self.line.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (self.line.as_slice(), ""),
        };
        let text = escape_line_for_display(&line[usize::from(kind.is_some())..]).into_owned();
        if colour == Some(BOLD) && line.starts_with(b"diff --git ") {
            self.emphasis = Emphasis::default();
        }
        self.line.clear();
        match kind {
            Some(kind @ ('+' | '-' | '\\')) if self.is_coloured => {
                self.push(Line { kind, text, ending })
            }
            _ => {
                self.end_change()?;
                let kind = kind.map(String::from).unwrap_or_default();
                match colour {
                    Some(colour) => write!(self.out, "{colour}{kind}{text}{RESET}{ending}"),
                    None => write!(self.out, "{kind}{text}{ending}"),
                }
            }
        }
    }

    /// Takes a removed or added line, or the note behind one that it has no end.
    fn push(&mut self, line: Line) -> io::Result<()> {
        if line.kind == '-' && self.change.has_added {
            self.end_change()?;
        }
        let change = &mut self.change;
        change.has_added |= line.kind == '+';
        change.bytes += line.text.len();
        change.lines.push(line);
        change.is_long |= change.bytes > BYTES_MAX || change.lines.len() > LINES_MAX;
        if !change.is_long {
            return Ok(());
        }
        write_lines(&mut self.out, &std::mem::take(&mut change.lines), std::iter::empty())
    }

    /// Writes the change, which nothing more belongs to.
    fn end_change(&mut self) -> io::Result<()> {
        let lines = std::mem::take(&mut self.change.lines);
        let texts = |kind| -> Vec<&str> {
            lines.iter().filter(|line| line.kind == kind).map(|line| line.text.as_str()).collect()
        };
        let changed = self.emphasis.of_change(&texts('-'), &texts('+'));
        let changed = changed.map(|changed| changed.removed.into_iter().chain(changed.added));
        write_lines(&mut self.out, &lines, changed.into_iter().flatten())?;
        self.change = Change::default();
        Ok(())
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
        self.end_change()?;
        self.out.flush()
    }
}

/// Writes lines of a change, with what changed in its removed and added lines where that is known.
fn write_lines(
    out: &mut impl Write,
    lines: &[Line],
    mut changed: impl Iterator<Item = Vec<Range<usize>>>,
) -> io::Result<()> {
    for Line { kind, text, ending } in lines {
        let colour = match kind {
            '-' => RED,
            '+' => GREEN,
            _ => {
                write!(out, "{kind}{text}{ending}")?;
                continue;
            }
        };
        write!(out, "{colour}{kind}")?;
        let mut end = 0;
        for range in changed.next().unwrap_or_default() {
            let (same, other) = (&text[end..range.start], &text[range.clone()]);
            write!(out, "{same}{REVERSED}{other}{NOT_REVERSED}")?;
            end = range.end;
        }
        write!(out, "{}{RESET}{ending}", &text[end..])?;
    }
    Ok(())
}

/// A diffstat with its signs coloured, as git colours them.
pub(crate) fn paint_stat(stat: &[u8]) -> Vec<u8> {
    let mut painted = Vec::with_capacity(stat.len() * 2);
    for line in stat.split_inclusive(|byte| *byte == b'\n') {
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        let signs =
            line[..end].iter().rposition(|byte| !b"+-".contains(byte)).map_or(0, |at| at + 1);
        let is_stat = line[..signs].windows(3).any(|bytes| bytes == b" | ");
        if !is_stat || signs == end {
            painted.extend_from_slice(line);
            continue;
        }
        let plus = signs + line[signs..end].iter().take_while(|byte| **byte == b'+').count();
        painted.extend_from_slice(&line[..signs]);
        for (colour, part) in [(GREEN, &line[signs..plus]), (RED, &line[plus..end])] {
            if !part.is_empty() {
                painted.extend_from_slice(&[colour.as_bytes(), part, RESET.as_bytes()].concat());
            }
        }
        painted.extend_from_slice(&line[end..]);
    }
    painted
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

    /// The text without the sequences that colour it.
    fn stripped(text: &str) -> String {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap_or_default().to_owned();
        let behind = |part: &'_ str| part.split_once('m').expect("a colour ends").1.to_owned();
        parts.fold(first, |text, part| text + &behind(part))
    }

    /// What is emphasized in a painted text.
    fn emphasized(text: &str) -> Vec<&str> {
        let behind = text.split(REVERSED).skip(1);
        behind.map(|part| part.split(NOT_REVERSED).next().unwrap_or_default()).collect()
    }

    #[rstest]
    #[case::a_word("-let a = one(b);\n+let a = two(b);\n", &["one", "two"])]
    #[case::an_end("-see the old one\n\\ No newline at end of file\n+see the new one\n", &["old", "new"])]
    #[case::several_lines(
        "-fn one(a: u8) {}\n-fn two(a: u8) {}\n+fn one(a: u16) {}\n+fn two(a: u16) {}\n",
        &["u8", "u8", "u16", "u16"]
    )]
    #[case::nothing_alike("-one\n+something else entirely\n", &[])]
    #[case::only_removed("-one two three\n-one two four\n", &[])]
    #[case::in_two_changes("+one two three\n-one two four\n", &[])]
    fn the_changed_words_of_a_line_are_emphasized(#[case] lines: &str, #[case] expected: &[&str]) {
        let text = painted(format!("@@ -1,9 +1,9 @@\n{lines}").as_bytes(), true, 7);
        assert_eq!(emphasized(&text), expected, "{text}");
    }

    #[test]
    fn each_file_has_emphasis_and_what_is_too_long_is_painted_plainly() {
        let change = |count: usize| {
            let lines =
                |kind, word: &str| format!("{kind}a line of the {word} text\n").repeat(count);
            let lines = lines('-', "old") + &lines('+', "new");
            format!("diff --git a/x b/x\n@@ -1,{count} +1,{count} @@\n{lines}").into_bytes()
        };
        let half = LINES_MAX / 2;
        assert_eq!(emphasized(&painted(&change(half), true, 999)).len(), LINES_MAX);
        let files = change(half).repeat(100);
        assert_eq!(emphasized(&painted(&files, true, 999)).len(), 100 * LINES_MAX);
        assert_eq!(emphasized(&painted(&change(LINES_MAX), true, 999)).len(), 0, "too many lines");
        let long = "word ".repeat(BYTES_MAX / 8);
        let long = format!("@@ -1 +1 @@\n-{long}old\n+{long}new\n");
        assert_eq!(emphasized(&painted(long.as_bytes(), true, 999)).len(), 0, "too many bytes");
    }

    proptest::proptest! {
        #[test]
        fn painting_adds_colours_and_changes_nothing_else(
            old in 0..9_u64,
            new in 0..9_u64,
            lines in proptest::collection::vec("[-+ \\\\@]?[ab~\u{1b}\u{338}\r (.]{0,6}(\n|\n|\n|)", 0..24),
            piece in 1..40_usize,
        ) {
            let diff = format!("diff --git a/x b/x\n@@ -1,{old} +1,{new} @@\n{}", lines.concat());
            let no_text = |byte| if byte == b'~' { 0xff } else { byte };
            let diff: Vec<u8> = diff.into_bytes().into_iter().map(no_text).collect();
            let plain = painted(&diff, false, piece);
            proptest::prop_assert_eq!(stripped(&painted(&diff, true, piece)), plain);
        }
    }

    #[test]
    fn only_the_signs_of_a_diffstat_are_coloured() {
        let stat = b" a+ | b--  | 12 ++-\n c | 0\n d | 3 +++\n 2 files changed, 5 insertions(+)\n";
        let expected = " a+ | b--  | 12 \x1b[32m++\x1b[0m\x1b[31m-\x1b[0m\n c | 0\n d | 3 \x1b[32m+++\x1b[0m\n \
            2 files changed, 5 insertions(+)\n";
        assert_eq!(String::from_utf8(paint_stat(stat)).expect("text"), expected);
        assert_eq!(paint_stat(b""), b"");
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
