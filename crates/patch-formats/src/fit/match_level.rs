//! Fitting hunks that have no line numbers: as strictly as they match, in one place.
//!
//! Each rung of the ladder lets more differ than the one before; the first on which a hunk matches
//! at all decides, and there it has to match once. What a hunk keeps stays as the file has it,
//! whatever the rung, and where indentation may differ, lines that are added get the file's.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::MisfitError;
use crate::escape::shown;
use crate::fit::compare::{form, without_feed, without_return};
use crate::fit::indent::Indentation;
use crate::fit::near_miss::shown_beside;
use crate::fit::search::{Budget, Head, Table};
use crate::lines::{BOM, FreedEnds, end_around, split};
use crate::model::{Chunk, Fitted, MatchLevel, Op, Placement};

const RUNGS: [MatchLevel; 5] = [
    MatchLevel::Exact,
    MatchLevel::LineEndings,
    MatchLevel::TrailingBlanks,
    MatchLevel::Blanks,
    MatchLevel::Punctuation,
];

/// Stands for a line that the file does not have.
const UNKNOWN: u32 = u32::MAX;

/// Fits every hunk, or says which does not.
pub(crate) fn fit(
    chunks: &[Chunk<'_>],
    from_crlf: bool,
    content: &[u8],
) -> Result<Fitted, MisfitError> {
    let mentions_mark =
        chunks.iter().flat_map(|chunk| &chunk.lines).any(|(_, line)| line.starts_with(BOM));
    let (mark, text) = match content.strip_prefix(BOM) {
        Some(text) if !mentions_mark => (BOM, text),
        _ => (&b""[..], content),
    };
    let lines = split(text)?;
    let mut file = File { lines: &lines, tables: Default::default(), budget: Budget::new() };
    let mut out = Out::new(mark, &lines, content.len());
    let mut placements = Vec::with_capacity(chunks.len());
    let mut done = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        let this = Numbered { chunk, hunk: index + 1 };
        let found = file.place(&this, done)?;
        out.copy(done..found.at);
        let is_literal = found.level == MatchLevel::Exact
            && chunk.lines.iter().any(|(_, line)| line.ends_with(b"\r"))
            && (!from_crlf || chunk.lines.iter().any(|(op, _)| *op != Op::Add));
        let indented = found.indented(&this, &lines)?;
        let brought: Vec<(Op, &[u8])> = match &indented {
            Some(indented) => indented.iter().map(|(op, line)| (*op, line.as_ref())).collect(),
            None => found.lines.to_vec(),
        };
        done = out.bring(&brought, found.at, is_literal);
        let level = match found.level {
            MatchLevel::Exact if !mark.is_empty() && found.at == 0 => MatchLevel::LineEndings,
            level => level,
        };
        placements.push(Placement { hunk: index + 1, line: found.at + 1, offset: None, level });
    }
    out.copy(done..lines.len());
    Ok(Fitted { content: out.finish(), placements })
}

struct Numbered<'a> {
    chunk: &'a Chunk<'a>,
    hunk: usize,
}

/// A hunk's lines, of which those that are added may have got another indentation.
type Indented<'a> = Vec<(Op, Cow<'a, [u8]>)>;

/// A hunk's lines where they fit.
struct Found<'a> {
    at: usize,
    level: MatchLevel,
    lines: &'a [(Op, &'a [u8])],
}

impl<'a> Found<'a> {
    /// The lines with the file's indentation where they are added; nothing where the patch's is
    /// the file's.
    fn indented(
        &self,
        this: &Numbered<'_>,
        file: &[&[u8]],
    ) -> Result<Option<Indented<'a>>, MisfitError> {
        if self.level < MatchLevel::Blanks {
            return Ok(None);
        }
        let old = self.lines.iter().filter(|(op, _)| *op != Op::Add).map(|(_, line)| *line);
        let there = file[self.at..].iter().copied();
        let indentation = Indentation::of(old.zip(there));
        let mut lines = Vec::with_capacity(self.lines.len());
        for (op, line) in self.lines {
            let indented = match op {
                Op::Add => indentation.indented(line),
                Op::Keep | Op::Remove => Some(Cow::Borrowed(*line)),
            };
            let at = self.at + 1;
            lines.push((
                *op,
                indented.ok_or_else(|| {
                    this.misplaced(&format!(
                        "fits at line {at} but for its indentation, from which that of {} does not \
                     follow: write the hunk with the indentation that the file has",
                        shown(line)
                    ))
                })?,
            ));
        }
        Ok(Some(lines))
    }
}

struct File<'a> {
    lines: &'a [&'a [u8]],
    /// One for each rung, made when it is first stood on.
    tables: [Option<Table<'a>>; RUNGS.len()],
    budget: Budget,
}

impl File<'_> {
    /// Where a hunk fits, not before `done`.
    fn place<'c>(&mut self, this: &Numbered<'c>, done: usize) -> Result<Found<'c>, MisfitError> {
        let mut from = done;
        // What the headers are known to reach over; nothing while they leave that open.
        let mut scope = None;
        for below in &this.chunk.below {
            let header = self.header(below, from, scope)?;
            let (at, is_only) = header.ok_or_else(|| this.nowhere(below, from))?;
            from = at + 1;
            scope = is_only.then(|| self.scope(at));
        }
        let scope = scope.as_ref();
        let whole = &this.chunk.lines[..];
        let tight = &whole[..whole.len() - this.chunk.loose];
        // Blank lines that may only keep hunks apart are no place to put lines at.
        let is_placed = tight.iter().any(|(op, _)| *op != Op::Add);
        let whole = if is_placed { whole } else { tight };
        let missed = match self.search(this, whole, from, scope)? {
            Ok(found) => return Ok(found),
            Err(missed) => missed,
        };
        if tight.len() < whole.len()
            && let Ok(found) = self.search(this, tight, from, scope)?
        {
            return Ok(found);
        }
        Err(missed)
    }

    /// The topmost line that `@@` names, and whether it is the only one in what the header above
    /// it reaches over, else below that.
    fn header(
        &mut self,
        named: &[u8],
        from: usize,
        scope: Option<Range<usize>>,
    ) -> Result<Option<(usize, bool)>, MisfitError> {
        let below = from..self.lines.len();
        for level in RUNGS {
            for within in scope.iter().chain([&below]) {
                let (places, _) = self.find(level, &[named], within.clone())?;
                if let Some(at) = places.first() {
                    return Ok(Some((*at, places.len() == 1)));
                }
            }
        }
        Ok(None)
    }

    /// The lines below a header that are indented more than it is, which is as far as what it
    /// heads is known to reach.
    fn scope(&self, header: usize) -> Range<usize> {
        let indent = |line: &[u8]| line.len() - line.trim_ascii_start().len();
        let depth = indent(self.lines[header]);
        let goes_on = |line: &[u8]| {
            let text = line.trim_ascii();
            text.is_empty() || indent(line) > depth || text == b"{"
        };
        let below = &self.lines[header + 1..];
        let length = below.iter().position(|line| !goes_on(line)).unwrap_or(below.len());
        header + 1..header + 1 + length
    }

    /// Where lines are on the highest rung on which they are anywhere; else what came closest.
    fn search<'c>(
        &mut self,
        this: &Numbered<'c>,
        lines: &'c [(Op, &'c [u8])],
        from: usize,
        scope: Option<&Range<usize>>,
    ) -> Result<Result<Found<'c>, MisfitError>, MisfitError> {
        let old: Vec<&[u8]> =
            lines.iter().filter(|(op, _)| *op != Op::Add).map(|(_, line)| *line).collect();
        let end = self.lines.len();
        if old.is_empty() {
            return match this.chunk.at_end || end == 0 {
                true => Ok(Ok(Found { at: end, level: MatchLevel::Exact, lines })),
                false => Err(this.misplaced(
                    "shows no line to put its lines at: give it context, or `*** End of File`",
                )),
            };
        }
        let mut closest = Head { at: from, length: 0 };
        for level in RUNGS {
            // A hunk at the end of the file has one place only.
            let last = end.checked_sub(old.len()).filter(|last| *last >= from);
            let start = if this.chunk.at_end { last.unwrap_or(end) } else { from };
            let (mut places, head) = self.find(level, &old, start..end)?;
            if places.len() > 1
                && let Some(scope) = scope
            {
                let (inside, _) = self.find(level, &old, scope.clone())?;
                if !inside.is_empty() {
                    places = inside;
                }
            }
            match places[..] {
                [at] => return Ok(Ok(Found { at, level, lines })),
                [first, second, ..] => return Err(this.ambiguous(first, second)),
                [] if head.length > closest.length => closest = head,
                [] => {}
            }
        }
        Ok(Err(self.missed(this, &old, from, closest)))
    }

    /// The first two places of a run of lines, and the longest head of it.
    fn find(
        &mut self,
        level: MatchLevel,
        run: &[&[u8]],
        within: Range<usize>,
    ) -> Result<(Vec<usize>, Head), MisfitError> {
        let lines = self.lines;
        let table = self.tables[level as usize].get_or_insert_with(|| {
            Table::new(lines.iter().map(|line| form(level, without_feed(line))))
        });
        let run: Vec<u32> =
            run.iter().map(|line| table.number(&form(level, line)).unwrap_or(UNKNOWN)).collect();
        let mut places = Vec::new();
        let head = table.find(&run, within, &mut self.budget, |at| {
            places.push(at);
            places.len() < 2
        })?;
        Ok((places, head))
    }

    fn missed(
        &self,
        this: &Numbered<'_>,
        old: &[&[u8]],
        from: usize,
        closest: Head,
    ) -> MisfitError {
        if this.chunk.at_end {
            let at = self.lines.len().saturating_sub(old.len()).max(from);
            let same = |index: usize| {
                let there = self
                    .lines
                    .get(at + index)
                    .map(|line| form(MatchLevel::Punctuation, without_feed(line)));
                there == Some(form(MatchLevel::Punctuation, old[index]))
            };
            let parts = (0..old.len()).find(|index| !same(*index)).unwrap_or(0);
            return self.parted(this, old, Head { at, length: parts });
        }
        match closest.length {
            0 => this.nowhere(old[0], from),
            _ => self.parted(this, old, closest),
        }
    }

    fn parted(&self, this: &Numbered<'_>, old: &[&[u8]], head: Head) -> MisfitError {
        let at = head.at + head.length;
        let expected = old.get(head.length).copied();
        let there = self.lines.get(at);
        let found =
            there.map_or("the end of the file".to_owned(), |line| shown_beside(line, expected));
        MisfitError::NotFound {
            hunk: this.hunk,
            line: this.chunk.line,
            at: at + 1,
            expected: expected.map_or("more lines".to_owned(), shown),
            found,
        }
    }
}

impl Numbered<'_> {
    fn misplaced(&self, reason: &str) -> MisfitError {
        let (hunk, line) = (self.hunk, self.chunk.line);
        MisfitError::Misplaced { hunk, line, reason: reason.to_owned() }
    }

    fn ambiguous(&self, first: usize, second: usize) -> MisfitError {
        let (hunk, line) = (self.hunk, self.chunk.line);
        MisfitError::Ambiguous { hunk, line, first: first + 1, second: second + 1 }
    }

    fn nowhere(&self, expected: &[u8], from: usize) -> MisfitError {
        let (hunk, line) = (self.hunk, self.chunk.line);
        let below = if from == 0 { String::new() } else { format!(" below line {from}") };
        MisfitError::Nowhere { hunk, line, expected: shown(expected), below }
    }
}

/// The file as it comes to be.
struct Out<'a> {
    lines: &'a [&'a [u8]],
    written: Vec<u8>,
    /// The end of the last line that was written, as long as nothing follows it.
    pending: &'static [u8],
    /// Whether the last line that was written is the patch's.
    is_added: bool,
}

impl<'a> Out<'a> {
    fn new(mark: &[u8], lines: &'a [&'a [u8]], capacity: usize) -> Self {
        let mut written = Vec::with_capacity(capacity);
        written.extend_from_slice(mark);
        Self { lines, written, pending: b"", is_added: false }
    }

    /// Writes lines of the file as they are.
    fn copy(&mut self, range: Range<usize>) {
        for at in range {
            self.written.extend_from_slice(self.pending);
            self.written.extend_from_slice(self.lines[at]);
            let is_ended = self.lines[at].ends_with(b"\n");
            self.pending = if is_ended { b"" } else { end_around(self.lines, at) };
            self.is_added = false;
        }
    }

    /// Writes what a hunk makes of the lines from `at` on; the line behind them.
    fn bring(&mut self, lines: &[(Op, &[u8])], mut at: usize, is_literal: bool) -> usize {
        let mut freed = FreedEnds::default();
        for (op, line) in lines {
            match op {
                Op::Keep => {
                    self.copy(at..at + 1);
                    freed.clear();
                    at += 1;
                }
                Op::Remove => {
                    freed.take(self.lines[at]);
                    at += 1;
                }
                Op::Add => {
                    let text = if is_literal { line } else { without_return(line) };
                    self.written.extend_from_slice(self.pending);
                    self.written.extend_from_slice(text);
                    let end = freed.give(self.lines, at);
                    self.pending = if is_literal { b"\n" } else { end };
                    self.is_added = true;
                }
            }
        }
        at
    }

    /// The content. A last line of the patch ends as the file's last line did.
    fn finish(mut self) -> Vec<u8> {
        if self.is_added && self.lines.last().is_none_or(|line| line.ends_with(b"\n")) {
            self.written.extend_from_slice(self.pending);
        }
        self.written
    }
}
