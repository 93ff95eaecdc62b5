//! Reading hunks: a header with line numbers, and exactly as many lines as it says.

use crate::error::PatchError;
use crate::escape::shown;
use crate::model::{Hunk, Op, Range};
use crate::reader::{Reader, may_be_cut_off};

/// One side of a header.
fn range(text: &[u8]) -> Option<Range> {
    let mut parts = text.splitn(2, |byte| *byte == b',');
    let start = number(parts.next()?)?;
    let count = parts.next().map_or(Some(1), number)?;
    // A count behind line 0 would begin before the file does.
    (start > 0 || count == 0).then_some(Range { start, count })
}

/// Lines are counted in 32 bits everywhere in Greenroom.
fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    text.parse::<u32>().ok().map(u64::from)
}

/// `@@ -start,count +start,count @@`, and whatever stands behind.
fn header(text: &[u8]) -> Option<(Range, Range)> {
    let rest = text.strip_prefix(b"@@ -")?;
    let end = memchr::memmem::find(rest, b" @@")?;
    let mut sides = rest[..end].splitn(2, |byte| *byte == b' ');
    let old = range(sides.next()?)?;
    let new = range(sides.next()?.strip_prefix(b"+")?)?;
    Some((old, new))
}

/// The hunks that stand here, one at least.
pub(crate) fn read<'p>(reader: &mut Reader<'p>) -> Result<Vec<Hunk<'p>>, PatchError> {
    let mut hunks: Vec<Hunk<'p>> = Vec::new();
    while let Some(text) = reader.peek().filter(|text| text.starts_with(b"@@ -")) {
        let line = reader.line();
        let malformed = |reason: String| PatchError::Malformed { line, reason };
        let (old, new) =
            header(text).ok_or_else(|| malformed(format!("{} is no hunk header", shown(text))))?;
        if let Some(before) = hunks.last()
            && old.first() < before.old.first() + before.old.count
        {
            return Err(malformed("the hunk is out of order or overlaps the one before".into()));
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
    let (mut olds, mut news) = (old.count, new.count);
    let mut lines: Vec<(Op, &'p [u8])> = Vec::new();
    while olds > 0 || news > 0 {
        let line = reader.line();
        let malformed = |reason: &str| PatchError::Malformed { line, reason: reason.to_owned() };
        let short = || PatchError::Malformed {
            line: header,
            reason: format!("the hunk lacks {olds} old and {news} new lines of what it says"),
        };
        let Some(full) = reader.peek_full() else { return Err(short()) };
        if !full.ends_with(b"\n") {
            return Err(PatchError::CutOff { line });
        }
        let (op, text) = match full[0] {
            b' ' => (Op::Keep, &full[1..]),
            // Some programs strip the space of an empty line of context.
            b'\n' => (Op::Keep, full),
            b'-' => (Op::Remove, &full[1..]),
            b'+' => (Op::Add, &full[1..]),
            b'\\' if full.starts_with(b"\\ ") => {
                strip_newline(&mut lines)
                    .ok_or_else(|| malformed("no line stands before that could lack its end"))?;
                reader.next();
                continue;
            }
            _ => return Err(short()),
        };
        let too_many = || PatchError::Malformed {
            line: header,
            reason: format!("the hunk has more lines than it says, from line {line} on"),
        };
        if op != Op::Add {
            olds = olds.checked_sub(1).ok_or_else(too_many)?;
        }
        if op != Op::Remove {
            news = news.checked_sub(1).ok_or_else(too_many)?;
        }
        lines.push((op, text));
        reader.next();
    }
    if reader.peek().is_some_and(|text| text.starts_with(b"\\ ")) {
        // As `git apply` has it: `\ No newline` in any language is no shorter.
        if reader.is_cut() && reader.peek().is_some_and(|text| text.len() < NO_NEWLINE_BYTES_MIN) {
            return Err(PatchError::CutOff { line: reader.line() });
        }
        strip_newline(&mut lines).ok_or_else(|| PatchError::Malformed {
            line: reader.line(),
            reason: "no line stands before that could lack its end".into(),
        })?;
        reader.next();
    }
    if lines.iter().all(|(op, _)| *op == Op::Keep) {
        let reason = "the hunk changes nothing".to_owned();
        return Err(PatchError::Malformed { line: header, reason });
    }
    match reader.peek() {
        Some(text) if reader.is_cut() && may_be_cut_off(text) => {
            Err(PatchError::CutOff { line: reader.line() })
        }
        Some(text) if goes_on(text, reader) => Err(PatchError::Malformed {
            line: header,
            reason: format!("the hunk has more lines than it says, from line {} on", reader.line()),
        }),
        _ => Ok(lines),
    }
}

const NO_NEWLINE_BYTES_MIN: usize = 13;

/// Takes the line feed off the last line.
fn strip_newline(lines: &mut [(Op, &[u8])]) -> Option<()> {
    let (_, last) = lines.last_mut()?;
    *last = last.strip_suffix(b"\n")?;
    Some(())
}

/// Whether the line behind a hunk looks like one more of its lines.
fn goes_on(text: &[u8], reader: &Reader<'_>) -> bool {
    // The signature of a mail that git writes.
    if (matches!(text, b"-- " | b"--") && !reader.is_cut()) || reader.at_file_names() {
        return false;
    }
    matches!(text.first(), Some(b' ' | b'+' | b'-' | b'\\'))
}
