//! Writes unified diffs, as git does.
//!
//! The format is that of POSIX `diff -u` with git's extended headers; see `git-diff(1)`,
//! "Generating patch text with -p".

use std::io::{self, Write};
use std::ops::Range;

use crate::edit_script::{Change, EditScript};
use crate::lines::{first_line_end, skip_lines};

/// How a patch is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// How many unchanged lines surround a change; `None` means the policy's number.
    pub context_lines: Option<u32>,
    /// How a file that is replaced as a whole is shown.
    pub binary: BinaryMode,
}

/// How a file that is replaced as a whole is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BinaryMode {
    /// In full, so that the patch can be applied: binary as a `GIT binary patch` (which `git
    /// apply` reads and `patch` does not), text as one hunk.
    #[default]
    Patch,
    /// Text as one hunk, and binary by its sizes, for people. `git apply` refuses such a patch.
    Sizes,
    /// By its sizes and digests. `git apply` refuses such a patch instead of skipping the file.
    Describe,
}

/// Writes the hunks of a script, with at most a piece of them in memory.
///
/// Both contents are walked through once, from change to change.
pub(crate) fn write_hunks(
    script: &EditScript,
    old: &[u8],
    new: &[u8],
    context: u32,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (mut old, mut new) = (Cursor::of(old), Cursor::of(new));
    let mut out = Buffered { out, pending: Vec::with_capacity(BUFFER_BYTES) };
    let mut headings = Headings::default();
    let mut rest = script.changes();
    while let Some(first) = rest.first() {
        let near =
            |pair: &[Change]| pair[1].old.start - pair[0].old.end <= context.saturating_mul(2);
        let count = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (hunk, after) = rest.split_at(count);
        let last = hunk.last().unwrap_or(first);
        let before = context.min(first.old.start);
        let behind = context.min(script.old_len() - last.old.end);
        old.take_to(first.old.start - before);
        let heading = headings.above(&old);
        out.write_hunk_header(
            first.old.start - before..last.old.end + behind,
            first.new.start - before..last.new.end + behind,
            heading,
        )?;
        for change in hunk {
            out.write_lines(b' ', old.take_to(change.old.start))?;
            out.write_lines(b'-', old.take_to(change.old.end))?;
            new.take_to(change.new.start);
            out.write_lines(b'+', new.take_to(change.new.end))?;
        }
        out.write_lines(b' ', old.take_to(last.old.end + behind))?;
        rest = after;
    }
    out.write_pending()
}

/// A content that is read line by line, and the current line.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Cursor<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 0 }
    }

    /// The bytes of the lines from here up to and without `line`, which is not before this one.
    fn take_to(&mut self, line: u32) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = skip_lines(rest, (line - self.line).into());
        self.at += length;
        self.line = line;
        &rest[..length]
    }
}

/// Finds the line that shows a reader where a hunk is, by git's rule for unknown kinds of files: the
/// last one above it that starts with a letter, `_` or `$`.
#[derive(Default)]
struct Headings<'a> {
    searched_to: usize,
    found: &'a [u8],
}

impl<'a> Headings<'a> {
    /// The heading for a hunk that starts at `hunk`; empty if there is none.
    ///
    /// Only the lines between this hunk and the previous one are searched, so that all hunks together
    /// take one pass.
    fn above(&mut self, hunk: &Cursor<'a>) -> &'a [u8] {
        const HEADING_BYTES_MAX: usize = 80;
        let between = &hunk.bytes[self.searched_to..hunk.at];
        self.searched_to = hunk.at;
        let mut end = between.len();
        while end > 0 {
            let start = memchr::memrchr(b'\n', &between[..end - 1]).map_or(0, |feed| feed + 1);
            let line = &between[start..end];
            if line[0].is_ascii_alphabetic() || matches!(line[0], b'_' | b'$') {
                let shown = &line[..line.len().min(HEADING_BYTES_MAX)];
                let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
                let blanks = shown.iter().rev().take_while(blank).count();
                self.found = valid_utf8(&shown[..shown.len() - blanks]);
                break;
            }
            end = start;
        }
        self.found
    }
}

/// The text up to the first byte that is not UTF-8, such as half a character.
fn valid_utf8(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(_) => text,
        Err(error) => &text[..error.valid_up_to()],
    }
}

/// How many bytes are collected before they are written.
const BUFFER_BYTES: usize = 64 << 10;

/// Lines up to this length are copied byte by byte.
const SHORT_LINE_BYTES: usize = 8;

/// Collects short writes.
struct Buffered<'a> {
    out: &'a mut dyn Write,
    pending: Vec<u8>,
}

impl Buffered<'_> {
    /// `@@ -start,count +start,count @@ heading`; lines are counted from 1 here.
    fn write_hunk_header(
        &mut self,
        old: Range<u32>,
        new: Range<u32>,
        heading: &[u8],
    ) -> io::Result<()> {
        let (old_range, new_range) = (
            hunk_range(old.start.into(), old.len() as u64),
            hunk_range(new.start.into(), new.len() as u64),
        );
        write!(self.pending, "@@ -{old_range} +{new_range} @@")?;
        if !heading.is_empty() {
            self.pending.push(b' ');
            self.pending.extend_from_slice(heading);
        }
        self.pending.push(b'\n');
        Ok(())
    }

    /// Writes each line after a sign.
    fn write_lines(&mut self, sign: u8, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let (line, rest) = lines.split_at(first_line_end(lines));
            if self.pending.len() + line.len() >= BUFFER_BYTES {
                self.write_pending()?;
            }
            self.pending.push(sign);
            if line.len() <= SHORT_LINE_BYTES {
                // One call for each of many short lines would take the most time.
                self.pending.extend(line.iter().copied());
            } else if line.len() < BUFFER_BYTES {
                self.pending.extend_from_slice(line);
            } else {
                self.write_pending()?;
                self.out.write_all(line)?;
            }
            if !line.ends_with(b"\n") {
                self.pending.extend_from_slice(NO_NEWLINE);
            }
            lines = rest;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> io::Result<()> {
        self.out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

/// One side of a hunk header. A count of 1 is omitted; an empty range is after line `start`.
pub(crate) fn hunk_range(start: u64, count: u64) -> String {
    match count {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{count}", start + 1),
    }
}

pub(crate) const NO_NEWLINE: &[u8] = b"\n\\ No newline at end of file\n";
