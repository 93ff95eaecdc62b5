//! Reads hunks: a header with line numbers, and exactly as many lines as it counts.

use crate::error::PatchError;
use crate::model::{Hunk, Op, Range};
use crate::printable::shown;
use crate::reader::Reader;

/// One side of a header.
fn range(text: &[u8]) -> Option<Range> {
    let mut parts = text.splitn(2, |byte| *byte == b',');
    let start = number(parts.next()?)?;
    let count = parts.next().map_or(Some(1), number)?;
    // Lines from line 0 on would begin before the file does.
    (start > 0 || count == 0).then_some(Range { start, count })
}

/// Lines are counted in 32 bits everywhere in Greenroom.
fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    text.parse::<u32>().ok().map(u64::from)
}

/// `@@ -start,count +start,count @@`, and any text after it.
fn header(text: &[u8]) -> Option<(Range, Range)> {
    let rest = text.strip_prefix(b"@@ -")?;
    let end = memchr::memmem::find(rest, b" @@")?;
    let mut sides = rest[..end].splitn(2, |byte| *byte == b' ');
    let old = range(sides.next()?)?;
    let new = range(sides.next()?.strip_prefix(b"+")?)?;
    Some((old, new))
}

/// The hunks that begin here, at least one.
pub(crate) fn read<'p>(reader: &mut Reader<'p>) -> Result<Vec<Hunk<'p>>, PatchError> {
    let mut hunks: Vec<Hunk<'p>> = Vec::new();
    while let Some(text) = reader.peek().filter(|text| text.starts_with(b"@@ -")) {
        let line = reader.line();
        let Some((old, new)) = header(text) else {
            return Err(PatchError::malformed(
                line,
                format!("{} is not a hunk header", shown(text)),
            ));
        };
        if let Some(before) = hunks.last()
            && old.first() < before.old.first() + before.old.count
        {
            let reason = "the hunk is out of order or overlaps the one before";
            return Err(PatchError::malformed(line, reason));
        }
        reader.next();
        hunks.push(Hunk { line, old, new, lines: body(reader, line, old, new)? });
    }
    Ok(hunks)
}

fn body<'p>(
    reader: &mut Reader<'p>,
    header: usize,
    old: Range,
    new: Range,
) -> Result<Vec<(Op, &'p [u8])>, PatchError> {
    let malformed = |reason: String| PatchError::malformed(header, reason);
    let too_many = |reader: &Reader<'_>| {
        let line = reader.line();
        malformed(format!("the hunk has more lines than its header counts, from line {line} on"))
    };
    let (mut olds, mut news) = (old.count, new.count);
    let mut lines: Vec<(Op, &'p [u8])> = Vec::new();
    while olds > 0 || news > 0 {
        let short = || {
            malformed(format!(
                "the hunk lacks {olds} old and {news} new lines of those its header counts"
            ))
        };
        let full = reader.peek_full().ok_or_else(short)?;
        if !full.ends_with(b"\n") {
            return Err(PatchError::CutOff { line: reader.line() });
        }
        let (op, text) = match full[0] {
            b' ' => (Op::Keep, &full[1..]),
            // Some programs strip the space of an empty line of context.
            b'\n' => (Op::Keep, full),
            b'-' => (Op::Remove, &full[1..]),
            b'+' => (Op::Add, &full[1..]),
            b'\\' if full.starts_with(b"\\ ") => {
                no_newline(reader, &mut lines)?;
                continue;
            }
            _ => return Err(short()),
        };
        if op != Op::Add {
            olds = olds.checked_sub(1).ok_or_else(|| too_many(reader))?;
        }
        if op != Op::Remove {
            news = news.checked_sub(1).ok_or_else(|| too_many(reader))?;
        }
        lines.push((op, text));
        reader.next();
    }
    if let Some(text) = reader.peek().filter(|text| text.starts_with(b"\\ ")) {
        // As in `git apply`: `\ No newline` is at least this long in any language.
        if reader.is_cut() && text.len() < NO_NEWLINE_BYTES_MIN {
            return Err(PatchError::CutOff { line: reader.line() });
        }
        no_newline(reader, &mut lines)?;
    }
    if lines.iter().all(|(op, _)| *op == Op::Keep) {
        return Err(malformed("the hunk changes nothing".to_owned()));
    }
    reader.check_cut()?;
    match reader.peek() {
        Some(text) if goes_on(text, reader) => Err(too_many(reader)),
        _ => Ok(lines),
    }
}

const NO_NEWLINE_BYTES_MIN: usize = 13;

/// Reads `\ No newline`, which takes the line feed off the last line.
fn no_newline(reader: &mut Reader<'_>, lines: &mut [(Op, &[u8])]) -> Result<(), PatchError> {
    let last = lines.last_mut().and_then(|(_, last)| Some((last.strip_suffix(b"\n")?, last)));
    let Some((text, last)) = last else {
        let reason = "no line before it has a line end that could be missing";
        return Err(PatchError::malformed(reader.line(), reason));
    };
    *last = text;
    reader.next();
    Ok(())
}

/// Whether the line after a hunk looks like one more line of it.
fn goes_on(text: &[u8], reader: &Reader<'_>) -> bool {
    // The signature of a mail that git writes.
    if (matches!(text, b"-- " | b"--") && !reader.is_cut()) || reader.at_file_names() {
        return false;
    }
    matches!(text.first(), Some(b' ' | b'+' | b'-' | b'\\'))
}
