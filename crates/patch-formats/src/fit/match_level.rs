//! Fits hunks that have no line numbers: at the strictest level at which they match, exactly once.
//!
//! Each level lets more differ than the one before. The first one at which a hunk matches counts, and
//! there it has to match once. The lines that a hunk keeps stay as the file has them at every level;
//! if indentation may differ, added lines get the file's.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::MisfitError;
use crate::fit::compare::{form, without_feed, without_return};
use crate::fit::indent::Indentation;
use crate::fit::refusal::HunkId;
use crate::fit::search::{Budget, Head, Table};
use crate::lines::{FreedEnds, end_around, split, split_mark};
use crate::model::{Chunk, Fitted, MatchLevel, Op, Placement, old_lines};
use crate::printable::shown;

const LEVELS: [MatchLevel; 5] = [
    MatchLevel::Exact,
    MatchLevel::LineEndings,
    MatchLevel::TrailingBlanks,
    MatchLevel::Blanks,
    MatchLevel::Punctuation,
];

/// The number of a line that the file does not have.
const UNKNOWN: u32 = u32::MAX;

/// Fits every hunk, or returns the first that does not fit.
pub(crate) fn fit(
    chunks: &[Chunk<'_>],
    from_crlf: bool,
    content: &[u8],
) -> Result<Fitted, MisfitError> {
    let patch_lines = chunks.iter().flat_map(|chunk| &chunk.lines).map(|(_, line)| *line);
    let (mark, text) = split_mark(content, patch_lines);
    let lines = split(text)?;
    let mut file = File { lines: &lines, tables: Default::default(), budget: Budget::new() };
    let mut out = Out::new(mark, &lines, content.len());
    let mut placements = Vec::with_capacity(chunks.len());
    let mut done = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        let this = HunkId { hunk: index + 1, line: chunk.line };
        let found = file.locate(chunk, this, done)?;
        out.copy(done..found.at);
        let is_literal = found.level == MatchLevel::Exact
            && chunk.lines.iter().any(|(_, line)| line.ends_with(b"\r"))
            && (!from_crlf || chunk.lines.iter().any(|(op, _)| *op != Op::Add));
        done = out.bring(&found.indented(this, &lines)?, found.at, is_literal);
        let level = match found.level {
            MatchLevel::Exact if !mark.is_empty() && found.at == 0 => MatchLevel::LineEndings,
            level => level,
        };
        placements.push(Placement { hunk: this.hunk, line: found.at + 1, offset: None, level });
    }
    out.copy(done..lines.len());
    Ok(Fitted { content: out.finish(), placements })
}

/// A hunk's lines; the added ones may have another indentation than in the patch.
type Indented<'a> = Vec<(Op, Cow<'a, [u8]>)>;

/// A hunk's lines where they fit.
struct Found<'a> {
    at: usize,
    level: MatchLevel,
    lines: &'a [(Op, &'a [u8])],
}

impl<'a> Found<'a> {
    /// The lines, of which those that are added have the file's indentation.
    fn indented(&self, this: HunkId, file: &[&[u8]]) -> Result<Indented<'a>, MisfitError> {
        let is_known = self.level < MatchLevel::Blanks;
        let there = file[self.at..].iter().copied().filter(|_| !is_known);
        let indentation = Indentation::of(old_lines(self.lines).into_iter().zip(there));
        let indented = |(op, line): &(Op, &'a [u8])| match op {
            Op::Add if !is_known => {
                let line = indentation.indented(line).ok_or_else(|| {
                    this.misplaced(&format!(
                        "fits at line {} except for its indentation, and that of {} cannot be \
                         derived from it: write the hunk with the file's indentation",
                        self.at + 1,
                        shown(line)
                    ))
                })?;
                Ok((*op, line))
            }
            _ => Ok((*op, Cow::Borrowed(*line))),
        };
        self.lines.iter().map(indented).collect()
    }
}

struct File<'a> {
    lines: &'a [&'a [u8]],
    /// One for each level, made when it is first needed.
    tables: [Option<Table<'a>>; LEVELS.len()],
    budget: Budget,
}

impl File<'_> {
    /// Where a hunk fits, not before `done`.
    fn locate<'c>(
        &mut self,
        chunk: &'c Chunk<'c>,
        this: HunkId,
        done: usize,
    ) -> Result<Found<'c>, MisfitError> {
        let mut from = done;
        // The lines that the headers are known to cover; `None` while that is unknown.
        let mut scope = None;
        for below in &chunk.below {
            let header = self.header(below, from, scope)?;
            let (at, is_only) = header.ok_or_else(|| nowhere(this, below, from))?;
            from = at + 1;
            scope = is_only.then(|| self.scope(at));
        }
        let scope = scope.as_ref();
        let whole = &chunk.lines[..];
        let tight = &whole[..whole.len() - chunk.loose];
        // Blank lines that may only separate hunks do not locate added lines.
        let is_placed = tight.iter().any(|(op, _)| *op != Op::Add);
        let whole = if is_placed { whole } else { tight };
        let mut search = |lines| self.search(this, lines, chunk.at_end, from, scope);
        let found = search(whole)?;
        if found.is_err() && tight.len() < whole.len() {
            return search(tight)?.or(found);
        }
        found
    }

    /// The topmost line that `@@` names, and whether it is the only one within the lines that the
    /// header above it covers, or else below that header.
    fn header(
        &mut self,
        named: &[u8],
        from: usize,
        scope: Option<Range<usize>>,
    ) -> Result<Option<(usize, bool)>, MisfitError> {
        let below = from..self.lines.len();
        for level in LEVELS {
            for within in scope.iter().chain([&below]) {
                let (places, _) = self.find(level, &[named], within.clone())?;
                if let Some(at) = places.first() {
                    return Ok(Some((*at, places.len() == 1)));
                }
            }
        }
        Ok(None)
    }

    /// The lines below a header that are indented more than it is: those that it is known to cover.
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

    /// Where lines match at the strictest level at which they match at all; else the closest match.
    fn search<'c>(
        &mut self,
        this: HunkId,
        lines: &'c [(Op, &'c [u8])],
        at_end: bool,
        from: usize,
        scope: Option<&Range<usize>>,
    ) -> Result<Result<Found<'c>, MisfitError>, MisfitError> {
        let old = old_lines(lines);
        let end = self.lines.len();
        if old.is_empty() {
            return match at_end || end == 0 {
                true => Ok(Ok(Found { at: end, level: MatchLevel::Exact, lines })),
                false => Err(this.misplaced(
                    "has no context that shows where its lines belong: give it context, or `*** End of File`",
                )),
            };
        }
        let mut closest = Head { at: from, length: 0 };
        for level in LEVELS {
            // A hunk at the end of the file can match at one line only.
            let last = end.checked_sub(old.len()).filter(|last| *last >= from);
            let start = if at_end { last.unwrap_or(end) } else { from };
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
        if at_end {
            let at = end.saturating_sub(old.len()).max(from);
            let level = MatchLevel::Punctuation;
            let is_same = |(there, old): &(&&[u8], &&[u8])| {
                form(level, without_feed(there)) == form(level, old)
            };
            closest =
                Head { at, length: self.lines[at..].iter().zip(&old).take_while(is_same).count() };
        } else if closest.length == 0 {
            return Ok(Err(nowhere(this, old[0], from)));
        }
        let Head { at, length } = closest;
        let expected = old.get(length).copied().ok_or("more lines");
        let there = self.lines.get(at + length).copied();
        Ok(Err(this.not_found(at + length, expected, there)))
    }

    /// The first two matches of a run of lines, and its longest head that matches.
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
}

/// Not even the first line that the hunk expects is below line `from`.
fn nowhere(HunkId { hunk, line }: HunkId, expected: &[u8], from: usize) -> MisfitError {
    let below = if from == 0 { String::new() } else { format!(" below line {from}") };
    MisfitError::Nowhere { hunk, line, expected: shown(expected), below }
}

/// The new content of the file.
struct Out<'a> {
    lines: &'a [&'a [u8]],
    written: Vec<u8>,
    /// The end of the last line that was written, until the next line is written.
    pending: &'static [u8],
    /// Whether the last line that was written comes from the patch.
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

    /// Writes the result of a hunk for the lines from `at` on; returns the line after them.
    fn bring(&mut self, lines: &Indented<'_>, mut at: usize, is_literal: bool) -> usize {
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
