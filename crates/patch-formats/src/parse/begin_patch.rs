//! Reads `*** Begin Patch`: files by name, and hunks without line numbers.
//!
//! The grammar is that of the apply_patch tool of Codex, with what that tool also accepts: blanks
//! around the markers of files, a here-document around the whole, a first hunk without `@@`. Other
//! text around a patch is handled in `envelope.rs`. Several patches in a text are read as one.

use std::collections::HashSet;

use crate::error::PatchError;
use crate::model::{Body, Change, Chunk, FilePatch, Op};
use crate::names;
use crate::parse::envelope::{self, BEGIN, END, Opening};
use crate::printable::{escaped, shown};
use crate::reader::Reader;

const ADD: &[u8] = b"*** Add File:";
const DELETE: &[u8] = b"*** Delete File:";
const UPDATE: &[u8] = b"*** Update File:";
const MOVE: &[u8] = b"*** Move to:";
const END_OF_FILE: &[u8] = b"*** End of File";

/// Whether a text is written in this format.
///
/// # Errors
/// If a command around it is not supported.
pub(crate) fn begins(text: &[u8]) -> Result<bool, PatchError> {
    Ok(envelope::find(&mut Reader::new(text))?.is_some())
}

/// An error for the first line that names a file in this format before any patch has begun.
pub(crate) fn stray(text: &[u8]) -> Option<PatchError> {
    let mut reader = Reader::new(text);
    while let Some(text) = reader.peek() {
        let text = text.trim_ascii();
        if [ADD, DELETE, UPDATE].iter().any(|head| text.starts_with(head)) {
            let reason = format!("{} has no `*** Begin Patch` above it", shown(text));
            return Some(PatchError::malformed(reader.line(), reason));
        }
        reader.next();
    }
    None
}

/// Every file's part, of all patches in the text.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<FilePatch<'_>>, PatchError> {
    let mut reader = Reader::new(text);
    let mut files = Vec::new();
    // The targets of the parts so far, which no later part may use as its source.
    let mut brought: HashSet<Vec<u8>> = HashSet::new();
    while let Some(opening) = envelope::find(&mut reader)? {
        reader.next();
        while let Some(file) = next_part(&mut reader, &opening, files.last())? {
            for name in [file.change.source(), file.change.target()].into_iter().flatten() {
                names::check_spelling(name, file.line)?;
            }
            if let Some(name) = file.change.source().filter(|name| brought.contains(*name)) {
                return Err(PatchError::NamedTwice { line: file.line, name: escaped(name) });
            }
            brought.extend(file.change.target().map(<[u8]>::to_vec));
            files.push(file);
        }
        opening.close(&mut reader)?;
    }
    match reader.peek() {
        None => Ok(files),
        Some(_) => Err(envelope::behind(&reader, "follows `*** End Patch`")),
    }
}

/// The next file's part; `None` at the end of the patch.
fn next_part<'p>(
    reader: &mut Reader<'p>,
    opening: &Opening,
    before: Option<&FilePatch<'p>>,
) -> Result<Option<FilePatch<'p>>, PatchError> {
    reader.skip_blank();
    let line = reader.line();
    let Some(text) = reader.peek() else {
        let reason = "`*** End Patch` is missing: the patch was cut off";
        return Err(PatchError::malformed(line, reason));
    };
    let marker = text.trim_ascii();
    reader.next();
    if marker == END {
        return Ok(None);
    }
    let is_new = before.is_some_and(|file| matches!(file.change, Change::Create { .. }));
    if is_new && !marker.starts_with(b"***") {
        let reason = format!("{} lacks its `+`: lines of a new file begin with one", shown(text));
        return Err(PatchError::malformed(line, reason));
    }
    part(reader, opening, marker, line).map(Some)
}

/// One file's part, whose marker was just read.
fn part<'p>(
    reader: &mut Reader<'p>,
    opening: &Opening,
    marker: &[u8],
    line: usize,
) -> Result<FilePatch<'p>, PatchError> {
    let named = |head: &[u8]| Some(opening.named(marker.strip_prefix(head)?.trim_ascii()));
    let (change, body) = if let Some(path) = named(ADD) {
        (Change::Create { path }, Body::Whole(added(reader)))
    } else if let Some(path) = named(DELETE) {
        (Change::Delete { path }, Body::Whole(Vec::new()))
    } else if let Some(path) = named(UPDATE) {
        update(reader, opening, path, line)?
    } else {
        let reason = format!(
            "{} is not `*** Add File: `, `*** Update File: `, `*** Delete File: ` or `*** End Patch`",
            shown(marker)
        );
        return Err(PatchError::malformed(line, reason));
    };
    Ok(FilePatch::new(line, change, body))
}

/// The content of a new file, with the line endings of the patch.
fn added(reader: &mut Reader<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(line) = reader.peek_full().and_then(|line| line.strip_prefix(b"+")) {
        content.extend_from_slice(line);
        reader.next();
    }
    content
}

fn update<'p>(
    reader: &mut Reader<'p>,
    opening: &Opening,
    path: Vec<u8>,
    line: usize,
) -> Result<(Change, Body<'p>), PatchError> {
    let to = reader.peek().and_then(|line| line.trim_ascii().strip_prefix(MOVE));
    let change = match to.map(|to| opening.named(to.trim_ascii())) {
        None => Change::Modify { path },
        Some(to) if to == path => {
            let reason = format!("`{}` is moved onto itself", escaped(&path));
            return Err(PatchError::malformed(line, reason));
        }
        Some(to) => {
            reader.next();
            Change::Rename { from: path, to }
        }
    };
    let chunks = chunks(reader, opening)?;
    if !chunks.is_empty() {
        return Ok((change, Body::Chunks { chunks, from_crlf: reader.is_crlf }));
    }
    match change {
        Change::Rename { .. } => Ok((change, Body::Nothing)),
        _ => Err(PatchError::malformed(line, "the file's part changes nothing")),
    }
}

fn chunks<'p>(reader: &mut Reader<'p>, opening: &Opening) -> Result<Vec<Chunk<'p>>, PatchError> {
    let mut chunks: Vec<Chunk<'p>> = Vec::new();
    loop {
        skip_empty(reader);
        match reader.peek() {
            Some(line) if line.starts_with(b"***") || is_end(line, reader, opening) => {
                return Ok(chunks);
            }
            Some(line) if !chunks.is_empty() && !line.starts_with(b"@@") => {
                let reason = format!("{} should be `@@`, which begins a hunk", shown(line));
                return Err(PatchError::malformed(reader.line(), reason));
            }
            Some(_) => chunks.push(chunk(reader, opening)?),
            None => return Ok(chunks),
        }
    }
}

/// Skips the empty lines between hunks.
fn skip_empty(reader: &mut Reader<'_>) {
    while reader.peek().is_some_and(|line| matches!(line, b"" | b"\r")) {
        reader.next();
    }
}

/// One hunk; only a file's first one may lack its `@@`.
fn chunk<'p>(reader: &mut Reader<'p>, opening: &Opening) -> Result<Chunk<'p>, PatchError> {
    let line = reader.line();
    let mut below = Vec::new();
    while let Some(text) = reader.peek().filter(|text| text.starts_with(b"@@")) {
        match text.strip_prefix(b"@@ ") {
            Some(text) if !text.trim_ascii().is_empty() => below.push(text),
            _ if text.trim_ascii_end() == b"@@" => {}
            _ => {
                let reason = format!("{} should be `@@` or `@@ ` and a line", shown(text));
                return Err(PatchError::malformed(reader.line(), reason));
            }
        }
        reader.next();
    }
    let mut chunk = Chunk { line, below, lines: Vec::new(), loose: 0, at_end: false };
    while let Some(text) = reader.peek() {
        // The line without the margin is parsed; the line as it was sent is kept.
        let full = reader.peek_full().unwrap_or_default();
        let sent = full.strip_suffix(b"\n").unwrap_or(full);
        let (op, sent) = match text.first() {
            None | Some(b'\r') if text.len() <= 1 => {
                chunk.loose += 1;
                chunk.lines.push((Op::Keep, sent));
                reader.next();
                continue;
            }
            Some(b' ') if is_end(text, reader, opening) => break,
            Some(b' ') => (Op::Keep, &sent[1..]),
            Some(b'+') => (Op::Add, &sent[1..]),
            Some(b'-') => (Op::Remove, &sent[1..]),
            _ if text.trim_ascii_end() == END_OF_FILE => {
                chunk.at_end = true;
                // This is the last hunk, so its blank lines separate it from nothing.
                chunk.loose = 0;
                reader.next();
                break;
            }
            _ if text.starts_with(b"@@") || text.starts_with(b"***") => break,
            _ => {
                let reason = format!("{} should begin with a blank, `+` or `-`", shown(text));
                return Err(PatchError::malformed(reader.line(), reason));
            }
        };
        chunk.loose = 0;
        chunk.lines.push((op, sent));
        reader.next();
    }
    if chunk.lines.iter().all(|(op, _)| *op == Op::Keep) {
        return Err(PatchError::malformed(line, "the hunk changes nothing"));
    }
    Ok(chunk)
}

/// Whether an indented `*** End Patch` is the patch's last line rather than context: no line of a hunk
/// or a file follows it.
fn is_end(text: &[u8], reader: &Reader<'_>, opening: &Opening) -> bool {
    if text.trim_ascii() != END {
        return false;
    }
    let mut ahead = reader.clone();
    ahead.next();
    ahead.skip_blank();
    ahead.peek().is_none_or(|line| {
        let is_of_a_patch = matches!(line.first(), Some(b' ' | b'+' | b'-' | b'@' | b'*'));
        !is_of_a_patch || opening.is_word(line) || line.trim_ascii() == BEGIN
    })
}
