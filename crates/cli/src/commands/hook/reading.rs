//! Reads of a file whose staged content differs from the disk.

use std::fs::File;
use std::io::{self, Read, Write};

use staging_core::{ErrorKind, StagingError};

use super::context::HookContext;
use super::payload;
use crate::failure::Failure;
use crate::files::open_regular;

/// How much of a content one answer has; harnesses cut longer answers.
const SHOWN_BYTES_MAX: usize = 8_000;

/// The staged content for the agent, where the disk has another one.
pub(super) fn shown_in_place_of_disk(
    context: &HookContext,
    read: &payload::Read,
) -> Result<Option<String>, Failure> {
    // What is outside of the workspace, or is protected in it, has no staged content.
    let Ok(path) = context.file(&read.path) else { return Ok(None) };
    let session = match context.layer.find_session(&context.label) {
        Ok(session) if session.state == staging_core::SessionState::Open => session,
        Ok(_) | Err(StagingError::SessionNotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let file = context.location.root.join(path.to_path_buf());
    let mut disk = Compare { disk: open_regular(&file).ok(), same: true };
    let is_there = disk.disk.is_some();
    let seen = match context.layer.copy_through(session.id, &path, &mut disk) {
        Ok(seen) => seen,
        Err(error) if has_nothing_staged(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let id = session.id;
    match (seen, is_there) {
        (None, false) => return Ok(None),
        (None, true) => {
            return Ok(Some(format!(
                "You staged the deletion of `{path}` in Greenroom ({id}). The user has not approved it yet, \
                 so the file is still on the disk. Treat it as deleted."
            )));
        }
        (Some(_), _) if disk.agrees().unwrap_or(false) => return Ok(None),
        (Some(_), _) => {}
    }
    let content = context.layer.read_through(id, &path)?.unwrap_or_default();
    let head = format!(
        "`{path}` has a staged change of yours in Greenroom ({id}). The user has not approved it yet, \
         so the disk has the old content. This is not an error.{} The content that you staged",
        context.advice(),
    );
    Ok(Some(match std::str::from_utf8(&content) {
        Ok(text) => format!("{head}{}", shown(text, read.offset, read.limit)),
        Err(_) => {
            let bytes = content.len();
            format!("{head} has {bytes} bytes and is not UTF-8: it cannot be shown here.")
        }
    }))
}

/// Whether nothing of the session can be pending where this error comes from.
fn has_nothing_staged(error: &StagingError) -> bool {
    matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::Usage)
}

/// The lines that were asked for, as many as fit.
fn shown(text: &str, from: Option<u64>, count: Option<u64>) -> String {
    let first = usize::try_from(from.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
    let count = usize::try_from(count.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let total = text.split_inclusive('\n').count();
    let mut out = String::new();
    let mut last = first.saturating_sub(1);
    for line in text.split_inclusive('\n').skip(first - 1).take(count) {
        if out.len() + line.len() > SHOWN_BYTES_MAX {
            if out.is_empty() {
                let end = (0..=SHOWN_BYTES_MAX).rev().find(|at| line.is_char_boundary(*at));
                out.push_str(&line[..end.unwrap_or(0)]);
                out.push_str("…\n");
                last += 1;
            }
            break;
        }
        out.push_str(line);
        last += 1;
    }
    if total == 0 {
        return " is an empty file.".to_owned();
    }
    if out.is_empty() {
        return format!(" has {total} lines, fewer than you asked for.");
    }
    let more = if last < total {
        format!("\n(Read again with offset {} for more.)", last + 1)
    } else {
        String::new()
    };
    format!(", lines {first} to {last} of {total}:\n\n{out}{more}")
}

/// Compares what is written to it with a file, in pieces.
struct Compare {
    disk: Option<File>,
    same: bool,
}

impl Compare {
    /// Whether all of the file was written, and nothing else.
    fn agrees(mut self) -> io::Result<bool> {
        let Some(disk) = &mut self.disk else { return Ok(false) };
        Ok(self.same && disk.read(&mut [0])? == 0)
    }
}

impl Write for Compare {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(64 * 1024)];
        if let Some(disk) = self.disk.as_mut().filter(|_| self.same) {
            let mut there = vec![0; piece.len()];
            self.same = disk.read_exact(&mut there).is_ok() && there == piece;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a\nb\nc\n", None, None, ", lines 1 to 3 of 3:\n\na\nb\nc\n")]
    #[case("a\nb\nc", Some(2), None, ", lines 2 to 3 of 3:\n\nb\nc")]
    #[case(
        "a\nb\nc\n",
        Some(2),
        Some(1),
        ", lines 2 to 2 of 3:\n\nb\n\n(Read again with offset 3 for more.)"
    )]
    #[case("a\n", Some(0), Some(u64::MAX), ", lines 1 to 1 of 1:\n\na\n")]
    #[case("a\n", Some(u64::MAX), None, " has 1 lines, fewer than you asked for.")]
    #[case("", None, None, " is an empty file.")]
    fn the_lines_that_were_asked_for_are_shown(
        #[case] text: &str,
        #[case] from: Option<u64>,
        #[case] count: Option<u64>,
        #[case] expected: &str,
    ) {
        assert_eq!(shown(text, from, count), expected);
    }

    #[test]
    fn a_long_content_is_shown_in_parts() {
        let text = "0123456789abcde\n".repeat(1000);
        let first = shown(&text, None, None);
        assert!(first.starts_with(", lines 1 to 500 of 1000:"), "{}", &first[..40]);
        assert!(first.ends_with("offset 501 for more.)"));
        let long = "ä".repeat(10_000);
        assert!(shown(&long, None, None).len() < SHOWN_BYTES_MAX + 100);
    }
}
