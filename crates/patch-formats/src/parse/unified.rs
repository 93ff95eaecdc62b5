//! Reads unified diffs, with git's headers and without.

use crate::error::PatchError;
use crate::model::{Body, Change, FilePatch};
use crate::names;
use crate::parse::envelope::{self, BEGIN};
use crate::parse::part::{NOTHING, binary, finish, labels};
use crate::parse::{git, hunks};
use crate::printable::escaped;
use crate::reader::Reader;
use crate::readings::{Readings, Spelling};

/// Every file's part; text between them is skipped, as `git apply` does.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<FilePatch<'_>>, PatchError> {
    let mut reader = Reader::new(text);
    let mut files = Vec::new();
    while let Some(line) = reader.peek_header() {
        reader.check_cut()?;
        if let Some(names) = line.strip_prefix(b"diff --git ") {
            files.push(git::read(&mut reader, names)?);
        } else if reader.at_file_names() {
            files.push(plain(&mut reader)?);
        } else if reader.at_last_file_names() {
            return Err(PatchError::CutOff { line: reader.line() });
        } else if line.starts_with(b"@@ -") {
            let reason = "a hunk needs the `---` and `+++` lines of its file above it";
            return Err(PatchError::malformed(reader.line(), reason));
        } else if line.starts_with(b"Binary files ") && line.ends_with(b" differ") {
            return Err(binary(reader.line()));
        } else if line.trim_ascii() == BEGIN {
            let reason = "a `*** Begin Patch` follows a unified diff: send them separately";
            return Err(PatchError::malformed(reader.line(), reason));
        } else if let Some(directory) = git::directory(line, reader.line())? {
            files.push(directory);
            reader.next();
        } else {
            envelope::check_above_diff(line, reader.line())?;
            reader.next();
        }
    }
    Ok(files)
}

/// One file's part without git's header.
fn plain<'p>(reader: &mut Reader<'p>) -> Result<FilePatch<'p>, PatchError> {
    let line = reader.line();
    let mut ahead = reader.clone();
    ahead.next();
    let ends_in_crlf = ahead.peek_full().is_some_and(|line| line.ends_with(b"\r\n"));
    let spelling = match ahead.peek().is_some_and(|line| line.starts_with(b"+++ \"")) {
        true => Spelling::Quoted,
        false => Spelling::Plain,
    };
    let [(old, behind_old), (new, behind_new)] = labels(reader, names::traditional_label)?;
    // Without their first parts these would be valid names.
    for (name, line) in [(&old, line), (&new, line + 1)] {
        if name.starts_with(b"/") && name != NOTHING {
            names::check(name, line)?;
        }
    }
    let hunks = hunks::read(reader)?;
    let whole = hunks.len() == 1;
    let no_old = whole && hunks[0].old.start == 0 && hunks[0].old.count == 0;
    let no_new = whole && hunks[0].new.start == 0 && hunks[0].new.count == 0;
    let both = |creates: bool| {
        Readings::of_both(&old, &new, spelling, creates).ok_or_else(|| {
            let reason = format!("`{}` and `{}` name no file", escaped(&old), escaped(&new));
            PatchError::malformed(line, reason)
        })
    };
    let (readings, change): (Readings, fn(Vec<u8>) -> Change) = if old == NOTHING && new == NOTHING
    {
        return Err(PatchError::malformed(line, "both names are /dev/null"));
    } else if old == NOTHING {
        (Readings::of_one(&new, true), |path| Change::Create { path })
    } else if new == NOTHING {
        (Readings::of_one(&old, false), |path| Change::Delete { path })
    } else if no_old && is_epoch(behind_old) {
        (both(true)?, |path| Change::Create { path })
    } else if no_new && is_epoch(behind_new) {
        (both(false)?, |path| Change::Delete { path })
    } else {
        // Even without /dev/null, lines added to an empty range create a file if there is none.
        (both(no_old)?, |path| Change::Modify { path })
    };
    let change = change(readings.preferred().to_vec());
    let is_new = matches!(change, Change::Create { .. }) || readings.creates;
    if is_new && ends_in_crlf && behind_new.starts_with(b" ") {
        // Git does not recognize the time then, and creates a file with the time in its name.
        let reason = "a time after blanks and a CR LF: end the name before it";
        return Err(PatchError::malformed(line + 1, reason));
    }
    let body = Body::Hunks { hunks, from_crlf: reader.is_crlf };
    finish(FilePatch { readings: Some(readings), ..FilePatch::new(line, change, body) })
}

/// Whether this is the time by which GNU diff marks a missing file: the beginning of 1970. It counts
/// only after a tab, as in `git apply`.
fn is_epoch(behind: &[u8]) -> bool {
    let read = || {
        let time = &behind[memchr::memrchr(b'\t', behind)? + 1..];
        let mut parts = std::str::from_utf8(time).ok()?.split(' ');
        let (date, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
        let day = match date {
            "1970-01-01" => 0,
            "1969-12-31" => -24 * 60,
            _ => return None,
        };
        let (clock, seconds) = (time.get(..5)?, time.get(5..)?);
        let (hours, minutes) = clock.split_once(':')?;
        let fraction = seconds.strip_prefix(":00")?;
        let is_zero = |fraction: &str| !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
        if !fraction.is_empty() && !fraction.strip_prefix('.').is_some_and(is_zero) {
            return None;
        }
        let number = |text: &str| text.parse::<i32>().ok().filter(|_| text.len() == 2);
        let sign = match zone.get(..1)? {
            "+" => 1,
            "-" => -1,
            _ => return None,
        };
        let (zone_hours, zone_minutes) = (zone.get(1..3)?, zone.get(3..)?);
        let zone_minutes = zone_minutes.strip_prefix(':').unwrap_or(zone_minutes);
        let offset = number(zone_hours)? * 60 + number(zone_minutes)?;
        let is_last = parts.next().is_none();
        Some(is_last && day + number(hours)? * 60 + number(minutes)? - sign * offset == 0)
    };
    read() == Some(true)
}
