//! Unified diff text, as git writes it.
//!
//! The format is that of POSIX `diff -u` with git's extended headers; see `git-diff(1)`,
//! "Generating patch text with -p".

use std::io::{self, Write};
use std::ops::Range;

use crate::edit_script::{Change, EditScript};
use crate::lines::Lines;

/// How a patch is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// How many unchanged lines stand around a change; `None` takes the policy's.
    pub context_lines: Option<u32>,
    /// How a content that is replaced as a whole is shown.
    pub binary: BinaryMode,
}

/// How a content that is replaced as a whole is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BinaryMode {
    /// In full, so that the patch can be applied: binary as a `GIT binary patch` (which `git
    /// apply` reads and `patch` does not), text as one hunk.
    #[default]
    Patch,
    /// In words: sizes and digests. `git apply` refuses such a patch rather than skip the file.
    Describe,
}

/// Writes the hunks of a script.
pub(crate) fn write_hunks(
    script: &EditScript,
    old: &Lines<'_>,
    new: &Lines<'_>,
    context: u32,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut rest = script.changes();
    while let Some(first) = rest.first() {
        let near =
            |pair: &[Change]| pair[1].old.start - pair[0].old.end <= context.saturating_mul(2);
        let count = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (hunk, after) = rest.split_at(count);
        let last = hunk.last().unwrap_or(first);
        let before = context.min(first.old.start);
        let behind = context.min(script.old_len() - last.old.end);
        write_hunk_header(
            first.old.start - before..last.old.end + behind,
            first.new.start - before..last.new.end + behind,
            out,
        )?;
        let mut kept_from = first.old.start - before;
        for change in hunk {
            write_lines(b' ', old, kept_from..change.old.start, out)?;
            write_lines(b'-', old, change.old.clone(), out)?;
            write_lines(b'+', new, change.new.clone(), out)?;
            kept_from = change.old.end;
        }
        write_lines(b' ', old, kept_from..last.old.end + behind, out)?;
        rest = after;
    }
    Ok(())
}

/// `@@ -start,count +start,count @@`; lines are counted from 1 here.
fn write_hunk_header(old: Range<u32>, new: Range<u32>, out: &mut dyn Write) -> io::Result<()> {
    let (old_range, new_range) = (
        hunk_range(old.start.into(), old.len() as u64),
        hunk_range(new.start.into(), new.len() as u64),
    );
    writeln!(out, "@@ -{old_range} +{new_range} @@")
}

/// One side of a hunk header; a count of 1 is left out, and no lines stand after line `start`.
pub(crate) fn hunk_range(start: u64, count: u64) -> String {
    match count {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{count}", start + 1),
    }
}

fn write_lines(
    sign: u8,
    lines: &Lines<'_>,
    range: Range<u32>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for at in range {
        let line = lines.get(at as usize);
        out.write_all(&[sign])?;
        out.write_all(line)?;
        if !line.ends_with(b"\n") {
            out.write_all(NO_NEWLINE)?;
        }
    }
    Ok(())
}

pub(crate) const NO_NEWLINE: &[u8] = b"\n\\ No newline at end of file\n";
