//! Fits the hunks of a unified diff: at the line in their header, or at the only line at which they
//! match.
//!
//! The ends are treated as `git apply` does: a hunk that begins with the file's first line fits
//! nowhere else, and one without context after its change has to reach the file's end.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::MisfitError;
use crate::fit::refusal::{HunkId, THE_END};
use crate::fit::search::{Budget, Table};
use crate::lines::{Endings, FreedEnds, split, split_mark};
use crate::model::{Fitted, Hunk, MatchLevel, Op, Placement, old_lines};

/// Fits every hunk, or returns the first that does not fit.
pub(crate) fn fit(
    hunks: &[Hunk<'_>],
    from_crlf: bool,
    content: &[u8],
    is_base: bool,
) -> Result<Fitted, MisfitError> {
    let plain = attempt(hunks, content, is_base, Ends::Same, MatchLevel::Exact);
    let Err(error @ MisfitError::NotFound { .. }) = plain else { return plain };
    // The file may have other line endings, or a mark that the patch omits: it keeps its own.
    let (mark, text) = split_mark(content, lines_of(hunks));
    let ends = ends(hunks, from_crlf, text)?;
    if mark.is_empty() && ends == Ends::Same {
        return Err(error);
    }
    let attempt = |hunks: &[Hunk<'_>]| attempt(hunks, text, is_base, ends, MatchLevel::LineEndings);
    match if from_crlf { without_returns(hunks, attempt) } else { attempt(hunks) } {
        Ok(fitted) => {
            let content = [mark, &fitted.content].concat();
            Ok(Fitted { content, ..fitted })
        }
        Err(ambiguous @ MisfitError::Ambiguous { .. }) => Err(ambiguous),
        Err(_) => Err(error),
    }
}

/// Fits every hunk to the target of a symbolic link. A target has no line ends that could differ from
/// the patch's: if every line of the patch has a carriage return, the target has none of them.
pub(crate) fn fit_target(
    hunks: &[Hunk<'_>],
    from_crlf: bool,
    target: &[u8],
    is_base: bool,
) -> Result<Fitted, MisfitError> {
    if !from_crlf {
        return attempt(hunks, target, is_base, Ends::Same, MatchLevel::Exact);
    }
    without_returns(hunks, |hunks| {
        attempt(hunks, target, is_base, Ends::Same, MatchLevel::LineEndings)
    })
}

fn lines_of<'a>(hunks: &'a [Hunk<'_>]) -> impl Iterator<Item = &'a [u8]> {
    hunks.iter().flat_map(|hunk| &hunk.lines).map(|(_, line)| *line)
}

/// How the ends of a patch's lines are compared with those of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Byte by byte.
    Same,
    /// A line feed of the patch matches either end. Added lines end like those around them.
    Either,
}

/// The line ends of a patch are not part of its change if its own lines all end alike; then they may
/// differ from the file's.
fn ends(hunks: &[Hunk<'_>], from_crlf: bool, content: &[u8]) -> Result<Ends, MisfitError> {
    if from_crlf {
        // Also if the file's lines end alike: the last one may have no end, and then it has no
        // carriage return either.
        return Ok(Ends::Either);
    }
    Ok(match (Endings::of(lines_of(hunks)), Endings::of(split(content)?)) {
        (Endings::Lf, Endings::CrLf | Endings::Mixed) => Ends::Either,
        _ => Ends::Same,
    })
}

/// Calls `then` with the hunks without the carriage return that every line of the patch has.
fn without_returns<T>(hunks: &[Hunk<'_>], then: impl FnOnce(&[Hunk<'_>]) -> T) -> T {
    let plain = |line: &[u8]| match line.strip_suffix(b"\r\n") {
        Some(text) => [text, b"\n"].concat(),
        // A line without an end is followed by `\ No newline`, and its CR was the patch's.
        None => line.strip_suffix(b"\r").unwrap_or(line).to_vec(),
    };
    let plain: Vec<Vec<Vec<u8>>> =
        hunks.iter().map(|hunk| hunk.lines.iter().map(|(_, line)| plain(line)).collect()).collect();
    let mut stripped = Vec::with_capacity(hunks.len());
    for (hunk, plain) in hunks.iter().zip(&plain) {
        let lines = hunk.lines.iter().zip(plain).map(|((op, _), line)| (*op, line.as_slice()));
        stripped.push(Hunk { lines: lines.collect(), ..*hunk });
    }
    then(&stripped)
}

fn attempt(
    hunks: &[Hunk<'_>],
    content: &[u8],
    is_base: bool,
    ends: Ends,
    level: MatchLevel,
) -> Result<Fitted, MisfitError> {
    let lines = split(content)?;
    let is_only_hunk = hunks.len() == 1;
    let budget = Budget::new();
    let mut file = File { lines: &lines, ends, table: None, budget, is_base, is_only_hunk };
    let mut out = Vec::with_capacity(content.len());
    let mut placements = Vec::with_capacity(hunks.len());
    // How many lines of the file are done, and how many lines the hunks so far have added.
    let (mut done, mut grown) = (0, 0);
    for (index, hunk) in hunks.iter().enumerate() {
        let this = HunkId { hunk: index + 1, line: hunk.line };
        let at = file.locate(hunk, this, done, grown)?;
        file.write(hunk, this, done..at, &mut out)?;
        let offset = at as i64 - hunk.old.first() as i64;
        placements.push(Placement { hunk: this.hunk, line: at + 1, offset: Some(offset), level });
        done = at + hunk.old.count as usize;
        grown += hunk.new.count as i64 - hunk.old.count as i64;
        if done < lines.len() && !out.is_empty() && !out.ends_with(b"\n") {
            return Err(this.misplaced("says that the file ends with it, but more lines follow"));
        }
    }
    lines[done..].iter().for_each(|line| out.extend_from_slice(line));
    Ok(Fitted { content: out, placements })
}

/// A line of the file as it is compared.
fn compared<'l>(line: &'l [u8], ends: Ends) -> Cow<'l, [u8]> {
    match line.strip_suffix(b"\r\n") {
        Some(text) if ends == Ends::Either => Cow::Owned([text, b"\n"].concat()),
        _ => Cow::Borrowed(line),
    }
}

struct File<'a> {
    lines: &'a [&'a [u8]],
    ends: Ends,
    /// Made when a hunk does not match at the line in its header.
    table: Option<Table<'a>>,
    budget: Budget,
    is_base: bool,
    is_only_hunk: bool,
}

impl<'a> File<'a> {
    /// The first line that the hunk covers, counted from 0, not before `done`.
    fn locate(
        &mut self,
        hunk: &Hunk<'_>,
        this: HunkId,
        done: usize,
        grown: i64,
    ) -> Result<usize, MisfitError> {
        let old = old_lines(&hunk.lines);
        let has_context = hunk.lines.iter().any(|(op, _)| *op == Op::Keep);
        let is_sure = self.is_base && !has_context;
        let at_top = hunk.old.start <= 1 && !is_sure;
        let at_end = hunk.lines.last().is_none_or(|(op, _)| *op != Op::Keep) && !is_sure;
        let last = self.lines.len().checked_sub(old.len());
        let may =
            |at: usize| Some(at) <= last && (!at_top || at == 0) && (!at_end || Some(at) == last);
        let stated = usize::try_from(hunk.old.first()).unwrap_or(usize::MAX);
        // If the two sides of a header disagree, one of them is wrong.
        let agrees = hunk.old.first() as i64 + grown == hunk.new.first() as i64;
        let is_alike = |at: usize| {
            Some(at) <= last
                && self.lines[at..].iter().zip(&old).all(|(there, old)| self.is(there, old))
        };
        let is_at = |at: usize| may(at) && is_alike(at);
        if agrees && stated >= done && is_at(stated) {
            return Ok(stated);
        }
        // A hunk over the whole file fits at one line only, whatever its header says.
        if self.is_only_hunk && at_end && last == Some(0) && is_alike(0) {
            return Ok(0);
        }
        if !has_context {
            return Err(match is_alike(stated) {
                false if may(stated) => self.not_found(this, &old, stated),
                false => this.misplaced(
                    "has no context and does not match at its line: give it lines of context",
                ),
                true => this
                    .misplaced("has no context that confirms its line: give it lines of context"),
            });
        }
        let mut found = Vec::new();
        if at_top || at_end {
            let only = if at_top { 0 } else { last.unwrap_or(0) };
            found.extend(is_at(only).then_some(only));
        } else {
            let (lines, ends) = (self.lines, self.ends);
            let table = self
                .table
                .get_or_insert_with(|| Table::new(lines.iter().map(|line| compared(line, ends))));
            let run: Option<Vec<u32>> = old.iter().map(|line| table.number(line)).collect();
            if let Some(run) = run {
                table.find(&run, 0..lines.len(), &mut self.budget, |at| {
                    found.push(at);
                    found.len() < 2
                })?;
            }
        }
        match found[..] {
            [at] if at >= done => Ok(at),
            [_] => Err(this.misplaced("fits only before the previous hunk: reorder the hunks")),
            [first, second, ..] => Err(this.ambiguous(first, second)),
            [] => Err(self.not_found(this, &old, if at_top { 0 } else { stated.max(done) })),
        }
    }

    /// Whether a line of the file equals one of a hunk.
    fn is(&self, line: &[u8], old: &[u8]) -> bool {
        line == old || (self.ends == Ends::Either && compared(line, self.ends) == old)
    }

    /// The first line at which the hunk and the file differ.
    fn not_found(&self, this: HunkId, old: &[&[u8]], at: usize) -> MisfitError {
        let there = |index: usize| at.checked_add(index).and_then(|at| self.lines.get(at)).copied();
        let is_there = |index: &usize| there(*index).is_some_and(|line| self.is(line, old[*index]));
        // If the file has all of it, more lines follow.
        let equal = (0..old.len()).take_while(is_there).count();
        let expected = old.get(equal).copied().ok_or(THE_END);
        this.not_found(at.saturating_add(equal), expected, there(equal))
    }

    /// Writes the lines before the hunk, and its result for the lines that it covers.
    fn write(
        &self,
        hunk: &Hunk<'_>,
        this: HunkId,
        before: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), MisfitError> {
        let (lines, ends) = (self.lines, self.ends);
        let mut push = |line: &[u8], end: &[u8]| {
            if !out.is_empty() && !out.ends_with(b"\n") {
                return Err(this.misplaced("adds a line after one that has no line end"));
            }
            out.extend_from_slice(line);
            out.extend_from_slice(end);
            Ok(())
        };
        let mut at = before.end;
        lines[before].iter().try_for_each(|line| push(line, b""))?;
        let mut freed = FreedEnds::default();
        for (op, line) in &hunk.lines {
            match op {
                Op::Add => match line.strip_suffix(b"\n").filter(|_| ends == Ends::Either) {
                    Some(text) => push(text, freed.give(lines, at))?,
                    None => push(line, b"")?,
                },
                Op::Keep => {
                    push(lines[at], b"")?;
                    freed.clear();
                    at += 1;
                }
                Op::Remove => {
                    freed.take(lines[at]);
                    at += 1;
                }
            }
        }
        Ok(())
    }
}
