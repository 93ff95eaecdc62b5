//! A strict reader of unified diffs: told by the format alone, independently of what writes them.

use diff_engine::{EditScript, Lines};

/// The content that the hunks of one file's patch make of `old`.
///
/// # Errors
///
/// The first thing that does not fit.
pub(crate) fn apply_hunks(old: &[u8], patch: &[u8]) -> Result<Vec<u8>, String> {
    let mut old_lines = old.split_inclusive(|byte| *byte == b'\n');
    let mut patch_lines = patch.split_inclusive(|byte| *byte == b'\n').peekable();
    let (mut out, mut old_at) = (Vec::new(), 0);
    while let Some(line) = patch_lines.next() {
        let Some((start, mut old_left, mut new_left)) = hunk_header(line) else {
            continue;
        };
        while old_at < start {
            out.extend_from_slice(old_lines.next().ok_or("a hunk starts behind the end")?);
            old_at += 1;
        }
        while old_left + new_left > 0 {
            let line = patch_lines.next().ok_or("a hunk is shorter than its header says")?;
            let (sign, mut text) = line.split_first().ok_or("a line is empty")?;
            let unfinished = |line: &&[u8]| line.starts_with(b"\\ ");
            if patch_lines.next_if(unfinished).is_some() {
                text = text.strip_suffix(b"\n").ok_or("a line has no end to take off")?;
            }
            if *sign != b'+' {
                old_left = old_left.checked_sub(1).ok_or("a hunk has too many old lines")?;
                old_at += 1;
                if old_lines.next() != Some(text) {
                    return Err(format!("old line {old_at} is another"));
                }
            }
            if *sign != b'-' {
                new_left = new_left.checked_sub(1).ok_or("a hunk has too many new lines")?;
                out.extend_from_slice(text);
            }
            if !b" -+".contains(sign) {
                return Err(format!("there is no sign {sign}"));
            }
        }
    }
    old_lines.for_each(|line| out.extend_from_slice(line));
    Ok(out)
}

/// Where a hunk starts in the old file, counted from 0, and its numbers of lines.
fn hunk_header(line: &[u8]) -> Option<(usize, usize, usize)> {
    let text = line.strip_prefix(b"@@ -")?;
    let mut ranges = text.split(|byte| *byte == b' ');
    let range = |text: &[u8]| -> Option<(usize, usize)> {
        let text = std::str::from_utf8(text).ok()?;
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    let (start, old) = range(ranges.next()?)?;
    let (_, new) = range(ranges.next()?.strip_prefix(b"+")?)?;
    Some((if old == 0 { start } else { start - 1 }, old, new))
}

/// The new content, made of what a script keeps of the old one and of what it takes from the new one.
pub(crate) fn applied(script: &EditScript, old: &Lines<'_>, new: &Lines<'_>) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for change in script.changes() {
        out.extend_from_slice(old.range(at, change.old.start as usize));
        out.extend_from_slice(new.range(change.new.start as usize, change.new.end as usize));
        at = change.old.end as usize;
    }
    out.extend_from_slice(old.range(at, old.len()));
    out
}
