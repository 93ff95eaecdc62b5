//! Reading unified diffs, with git's headers and without.

use crate::begin_patch;
use crate::envelope;
use crate::error::{PatchError, escaped, shown};
use crate::git_header;
use crate::hunks;
use crate::lines::BOM;
use crate::model::{Body, Change, FilePatch};
use crate::names;
use crate::readings::{Readings, Spelling};

/// What stands in front of every line and is no part of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Margin {
    None,
    /// So many blanks at most.
    Blanks(usize),
    /// Any number of tabs.
    Tabs,
}

impl Margin {
    fn strip(self, line: &[u8]) -> &[u8] {
        let width =
            |byte: u8, max: usize| line.iter().take(max).take_while(|b| **b == byte).count();
        match self {
            Self::None => line,
            Self::Blanks(max) => &line[width(b' ', max)..],
            Self::Tabs => &line[width(b'\t', line.len())..],
        }
    }
}

/// Goes through the lines of a patch.
#[derive(Clone)]
pub(crate) struct Reader<'p> {
    rest: &'p [u8],
    line: usize,
    pub(crate) margin: Margin,
    /// Whether every line of the patch ends in CR LF; the last one may have no end.
    pub(crate) is_crlf: bool,
}

impl<'p> Reader<'p> {
    pub(crate) fn new(text: &'p [u8]) -> Self {
        // A mark at the beginning belongs to how the text was sent.
        let text = text.strip_prefix(BOM).unwrap_or(text);
        let ends = |at: usize| at > 0 && text[at - 1] == b'\r';
        let mut feeds = memchr::memchr_iter(b'\n', text).peekable();
        let is_crlf = feeds.peek().is_some() && feeds.all(ends);
        Self { rest: text, line: 1, margin: Margin::None, is_crlf }
    }

    /// The next line's place, counted from 1.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// The next line as it stands, without the margin.
    pub(crate) fn peek_full(&self) -> Option<&'p [u8]> {
        let bytes = self.line_bytes();
        (bytes > 0).then(|| self.margin.strip(&self.rest[..bytes]))
    }

    fn line_bytes(&self) -> usize {
        memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1)
    }

    /// The next line without its end.
    pub(crate) fn peek(&self) -> Option<&'p [u8]> {
        let full = self.peek_full()?;
        let line = full.strip_suffix(b"\n").unwrap_or(full);
        Some(if self.is_crlf { line.strip_suffix(b"\r").unwrap_or(line) } else { line })
    }

    pub(crate) fn next(&mut self) {
        let bytes = self.line_bytes();
        if bytes > 0 {
            self.rest = &self.rest[bytes..];
            self.line += 1;
        }
    }

    /// Goes to the next line that holds something.
    pub(crate) fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.trim_ascii().is_empty()) {
            self.next();
        }
    }

    /// The next line of a header, which may end in a CR: names that do are in quotes.
    pub(crate) fn peek_header(&self) -> Option<&'p [u8]> {
        self.peek().map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Whether the next line is the last one and has no end.
    pub(crate) fn is_cut(&self) -> bool {
        self.peek_full().is_some_and(|line| !line.ends_with(b"\n"))
    }

    /// Refuses a last line that has no end where more of the patch was under way.
    pub(crate) fn check_cut(&self) -> Result<(), PatchError> {
        let is_cut = self.is_cut() && self.peek().is_some_and(may_be_cut_off);
        if is_cut { Err(PatchError::CutOff { line: self.line }) } else { Ok(()) }
    }

    /// Whether a `---` line, a `+++` line and a hunk come next.
    pub(crate) fn at_file_names(&self) -> bool {
        let mut ahead = self.clone();
        [&b"--- "[..], b"+++ ", b"@@ -"].into_iter().all(|head| {
            let is_next = ahead.peek().is_some_and(|line| line.starts_with(head));
            ahead.next();
            is_next
        })
    }
}

impl Reader<'_> {
    /// Whether a file's `---` and `+++` lines are the last ones, so that its hunks are missing.
    fn at_last_file_names(&self) -> bool {
        let mut ahead = self.clone();
        let Some(old) = ahead.peek().filter(|line| line.starts_with(b"--- ")) else { return false };
        ahead.next();
        let new = ahead.peek();
        ahead.next();
        let is_name =
            [&b"--- a/"[..], b"--- \"a/", b"--- /dev/null"].iter().any(|n| old.starts_with(n));
        ahead.peek().is_none() && new.map_or(is_name, |line| line.starts_with(b"+++ "))
    }
}

/// Every file's part; text between them is passed over, as `git apply` does.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<FilePatch<'_>>, PatchError> {
    let mut reader = Reader::new(text);
    let mut files = Vec::new();
    while let Some(line) = reader.peek_header() {
        reader.check_cut()?;
        if let Some(names) = line.strip_prefix(b"diff --git ") {
            files.push(git_header::read(&mut reader, names)?);
        } else if reader.at_file_names() {
            files.push(plain(&mut reader)?);
        } else if reader.at_last_file_names() {
            return Err(PatchError::CutOff { line: reader.line() });
        } else if line.starts_with(b"@@ -") {
            let reason = "a hunk without the file's name (`---` and `+++` lines) above".into();
            return Err(PatchError::Malformed { line: reader.line(), reason });
        } else if line.starts_with(b"Binary files ") && line.ends_with(b" differ") {
            return Err(binary(reader.line()));
        } else if line.trim_ascii() == begin_patch::BEGIN {
            let reason = "a `*** Begin Patch` behind a unified diff: send one after the other";
            let (line, reason) = (reader.line(), reason.to_owned());
            return Err(PatchError::Malformed { line, reason });
        } else if let Some(directory) = git_header::directory(line, reader.line())? {
            files.push(directory);
            reader.next();
        } else {
            envelope::check_above_diff(line, reader.line())?;
            reader.next();
        }
    }
    Ok(files)
}

/// How the lines of a patch begin that say something.
const BEGINNINGS: [&[u8]; 19] = [
    b"diff --git ",
    b"--- ",
    b"+++ ",
    b"@@ -",
    b"index ",
    b"old mode ",
    b"new mode ",
    b"new file mode ",
    b"deleted file mode ",
    b"rename from ",
    b"rename to ",
    b"rename old ",
    b"rename new ",
    b"copy from ",
    b"copy to ",
    b"similarity index ",
    b"dissimilarity index ",
    b"GIT binary patch",
    b"Binary files ",
];

/// Whether a last line without an end may be what is left of one that says something.
pub(crate) fn may_be_cut_off(line: &[u8]) -> bool {
    !line.is_empty()
        && BEGINNINGS.iter().any(|head| line.starts_with(head) || head.starts_with(line))
}

pub(crate) fn binary(line: usize) -> PatchError {
    let what = "binary patches are not read: propose the file whole";
    PatchError::Unsupported { line, what }
}

/// A name, and what stands behind it.
pub(crate) type Label<'p> = (Vec<u8>, &'p [u8]);
/// What the `---` and `+++` lines say.
pub(crate) type Labels<'p> = [Label<'p>; 2];

/// Reads both lines, by [`names::label`] or [`names::traditional_label`].
pub(crate) fn labels<'p>(
    reader: &mut Reader<'p>,
    label: fn(&'p [u8]) -> Option<Label<'p>>,
) -> Result<Labels<'p>, PatchError> {
    let mut read = || {
        let line = reader.line();
        let text = reader.peek_header().unwrap_or_default();
        reader.next();
        label(text.get(4..).unwrap_or_default()).ok_or_else(|| PatchError::Malformed {
            line,
            reason: format!("the name in {} is not quoted as it should be", shown(text)),
        })
    };
    Ok([read()?, read()?])
}

pub(crate) const NOTHING: &[u8] = b"/dev/null";

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
    // Without their first parts these would be names like any others.
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
        Readings::of_both(&old, &new, spelling, creates).ok_or_else(|| PatchError::Malformed {
            line,
            reason: format!("`{}` and `{}` name no file", escaped(&old), escaped(&new)),
        })
    };
    let (readings, change): (Readings, fn(Vec<u8>) -> Change) = if old == NOTHING && new == NOTHING
    {
        let reason = "both names are /dev/null".into();
        return Err(PatchError::Malformed { line, reason });
    } else if old == NOTHING {
        (Readings::of_one(&new, true), |path| Change::Create { path })
    } else if new == NOTHING {
        (Readings::of_one(&old, false), |path| Change::Delete { path })
    } else if no_old && is_epoch(behind_old) {
        (both(true)?, |path| Change::Create { path })
    } else if no_new && is_epoch(behind_new) {
        (both(false)?, |path| Change::Delete { path })
    } else {
        // Without /dev/null, lines that are put where no line is create what is not there.
        (both(no_old)?, |path| Change::Modify { path })
    };
    let change = change(readings.preferred().to_vec());
    let is_new = matches!(change, Change::Create { .. }) || readings.creates();
    if is_new && ends_in_crlf && behind_new.starts_with(b" ") {
        // Git does not see the time then, and creates a file with the time in its name.
        let reason = "a time behind blanks and a CR LF: end the name before it".to_owned();
        return Err(PatchError::Malformed { line: line + 1, reason });
    }
    let body = Body::Hunks { hunks, from_crlf: reader.is_crlf };
    let readings = Some(readings);
    finish(FilePatch {
        change,
        kind: None,
        mode: None,
        base_blob: None,
        line,
        is_from_top: false,
        readings,
        body,
    })
}

/// Checks what holds for every file's part.
pub(crate) fn finish(file: FilePatch<'_>) -> Result<FilePatch<'_>, PatchError> {
    let names = [file.change.source(), file.change.target()];
    let readings = file.readings.iter().flat_map(Readings::all);
    for name in names.into_iter().flatten().chain(readings) {
        names::check(name, file.line)?;
    }
    let Body::Hunks { hunks, .. } = &file.body else { return Ok(file) };
    let sides = match file.change {
        Change::Create { .. } => hunks.iter().any(|hunk| hunk.old.count > 0).then_some("has"),
        Change::Delete { .. } => hunks.iter().any(|hunk| hunk.new.count > 0).then_some("keeps"),
        _ => None,
    };
    match sides {
        None => Ok(file),
        Some(verb) => {
            let reason = format!("a file that is created or deleted {verb} lines it cannot have");
            Err(PatchError::Malformed { line: file.line, reason })
        }
    }
}

/// Whether this is the time by which GNU diff says that a file is not there: 1970 began. It counts
/// behind a tab alone, as for `git apply`.
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
