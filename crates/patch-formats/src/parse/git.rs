//! Reads git's headers: names, modes, renames, ids.

use crate::error::PatchError;
use crate::model::{Body, Change, EntryKind, FilePatch, ModeChange};
use crate::names;
use crate::parse::hunks;
use crate::parse::part::{NOTHING, bad_quotes, binary, finish, labels};
use crate::printable::{escaped, shown};
use crate::reader::Reader;
use crate::readings::{Readings, Spelling};

/// The contents of the lines below `diff --git`.
#[derive(Default)]
struct Extended {
    old_mode: Option<u32>,
    new_mode: Option<u32>,
    is_new: bool,
    is_deleted: bool,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    base_blob: Option<Vec<u8>>,
    /// The kind of entry in each line with a mode.
    kinds: Vec<EntryKind>,
    /// Whether the header announces a change of content.
    changes_content: bool,
}

/// One file's part that begins with `diff --git`, whose names are `pair`.
pub(crate) fn read<'p>(reader: &mut Reader<'p>, pair: &[u8]) -> Result<FilePatch<'p>, PatchError> {
    let line = reader.line();
    let malformed = |reason: &str| PatchError::malformed(line, reason);
    reader.next();
    let mut extended = Extended::default();
    while let Some(text) = reader.peek_header() {
        reader.check_cut()?;
        if !extended.take(text, reader.line())? {
            break;
        }
        reader.next();
    }
    let labels_line = reader.line();
    let labels = match reader.at_file_names() {
        true => Some(labels(reader, names::label)?.map(|(name, _)| name)),
        false => None,
    };
    let (change, readings) = named(&extended, pair, labels.as_ref(), [line, labels_line])?;
    let mut body = Body::Nothing;
    if labels.is_some() {
        body = Body::Hunks { hunks: hunks::read(reader)?, from_crlf: reader.is_crlf };
    } else if let Some(text) = reader.peek_header() {
        let differ = text.starts_with(b"Binary files ") && text.ends_with(b" differ");
        if differ || text == b"GIT binary patch" {
            return Err(binary(reader.line()));
        }
        if text.starts_with(b"--- ") || text.starts_with(b"@@ -") {
            let reason = "a `---` line, a `+++` line and a hunk should follow here";
            return Err(PatchError::malformed(reader.line(), reason));
        }
    }
    let has_body = !matches!(body, Body::Nothing);
    if !has_body && extended.changes_content {
        return Err(match reader.peek() {
            None => PatchError::CutOff { line: reader.line() - 1 },
            Some(_) => malformed("the header announces a change of content, but no hunk follows"),
        });
    }
    let mode = extended.mode().map_err(malformed)?;
    if !has_body && mode.is_none() && matches!(change, Change::Modify { .. }) {
        return Err(malformed("the file's part changes nothing"));
    }
    let kind = extended.kinds.first().copied();
    if extended.kinds.iter().any(|one| Some(*one) != kind) {
        return Err(malformed(
            "a file cannot become a symbolic link, or a link a file, in one part: delete the one and \
             create the other",
        ));
    }
    let base_blob = extended.base_blob;
    finish(FilePatch { change, kind, mode, base_blob, line, is_from_top: true, readings, body })
}

/// What happens, and to which file. `line` is that of the pair of names, `labels_line` that of the
/// first label.
fn named(
    extended: &Extended,
    pair: &[u8],
    labels: Option<&[Vec<u8>; 2]>,
    [line, labels_line]: [usize; 2],
) -> Result<(Change, Option<Readings>), PatchError> {
    let malformed = |reason: &str| PatchError::malformed(line, reason);
    match (&extended.from, &extended.to) {
        (Some(_), Some(_)) if extended.is_new || extended.is_deleted => {
            return Err(malformed("a file cannot be renamed and created or deleted"));
        }
        (Some(from), Some(to)) if from == to => {
            return Err(malformed(&format!("`{}` is renamed to itself", escaped(from))));
        }
        (Some(from), Some(to)) => {
            let pairs = labels.iter().flat_map(|labels| labels.iter().zip([from, to]));
            for ((label, name), line) in pairs.zip(labels_line..) {
                if label != name && names::without_first(label) != Some(name) {
                    return Err(another_name(label, name, line));
                }
            }
            return Ok((Change::Rename { from: from.clone(), to: to.clone() }, None));
        }
        (None, None) => {}
        _ => return Err(malformed("a rename needs `rename from` and `rename to`")),
    }
    let is_null = |side: usize| labels.is_some_and(|labels| labels[side] == NOTHING);
    let is_new = extended.is_new || is_null(0);
    if is_null(1) && !extended.is_deleted {
        return Err(malformed("a deletion needs `deleted file mode`"));
    }
    if is_new && extended.is_deleted {
        return Err(malformed("a file cannot be created and deleted"));
    }
    let readings = names::git_pair(pair)
        .and_then(|(old, new)| Readings::of_both(&old, &new, Spelling::Plain, is_new))
        .or_else(|| {
            let [old, new] = labels?;
            match (is_new, extended.is_deleted) {
                (true, _) => Some(Readings::of_one(new, true)),
                (_, true) => Some(Readings::of_one(old, false)),
                _ => Readings::of_both(old, new, Spelling::Plain, false),
            }
        });
    let readings = readings
        .ok_or_else(|| malformed(&format!("{} does not name one file twice", shown(pair))))?;
    let absent = [is_new, extended.is_deleted];
    let sides = labels.iter().flat_map(|labels| labels.iter().zip(absent));
    for ((label, is_absent), line) in sides.zip(labels_line..) {
        let (stands, name) = match is_absent {
            true => (label == NOTHING, NOTHING),
            false => (readings.stands_for(label), readings.preferred()),
        };
        if !stands {
            return Err(another_name(label, name, line));
        }
    }
    let path = readings.preferred().to_vec();
    let change = match (is_new, extended.is_deleted) {
        (true, _) => Change::Create { path },
        (_, true) => Change::Delete { path },
        _ => Change::Modify { path },
    };
    Ok((change, Some(readings)))
}

fn another_name(label: &[u8], name: &[u8], line: usize) -> PatchError {
    let (label, name) = (escaped(label), escaped(name));
    let reason = format!("`{label}` is not `{name}`, which the header above names");
    PatchError::malformed(line, reason)
}

impl Extended {
    /// Reads a line; returns whether it is part of the header.
    fn take(&mut self, text: &[u8], line: usize) -> Result<bool, PatchError> {
        let name = |rest: &[u8]| names::whole(rest).ok_or_else(|| bad_quotes(text, line));
        let after = |heads: &[&str]| heads.iter().find_map(|h| text.strip_prefix(h.as_bytes()));
        if let Some(rest) = after(&["old mode "]) {
            self.old_mode = Some(self.mode_of(rest, line)?);
        } else if let Some(rest) = after(&["new mode ", "new file mode "]) {
            self.new_mode = Some(self.mode_of(rest, line)?);
            self.is_new |= text.starts_with(b"new file ");
        } else if let Some(rest) = after(&["deleted file mode "]) {
            self.mode_of(rest, line)?;
            self.is_deleted = true;
        } else if let Some(rest) = after(&["rename from ", "rename old "]) {
            self.from = Some(name(rest)?);
        } else if let Some(rest) = after(&["rename to ", "rename new "]) {
            self.to = Some(name(rest)?);
        } else if after(&["copy from ", "copy to "]).is_some() {
            let what = "copies are not supported: create the new file with its content";
            return Err(PatchError::Unsupported { line, what });
        } else if let Some(rest) = after(&["index "]) {
            if let Some(Index { old, new, mode }) = index(rest) {
                if let Some(mode) = mode {
                    self.mode_of(mode, line)?;
                }
                // An empty file is created or deleted without a hunk; any other change has one.
                let is_empty = |id: &[u8]| EMPTY_ID.starts_with(id) || id.starts_with(EMPTY_ID);
                self.changes_content |=
                    old != new && !is_empty(if self.is_deleted { old } else { new });
                self.base_blob = is_id(old).then(|| old.to_vec());
            }
        } else if let Some(rest) = after(&["similarity index "]) {
            self.changes_content |= rest != b"100%";
        } else {
            return Ok(text.starts_with(b"dissimilarity index "));
        }
        Ok(true)
    }

    /// Reads a mode, and records the kind of its entry.
    fn mode_of(&mut self, text: &[u8], line: usize) -> Result<u32, PatchError> {
        let mode = mode(text, line)?;
        self.kinds.push(match mode & KIND_BITS {
            SYMLINK => EntryKind::Symlink,
            _ => EntryKind::File,
        });
        Ok(mode)
    }

    fn mode(&self) -> Result<Option<ModeChange>, &'static str> {
        let is_gits = |mode: u32| matches!(mode, 0o100644 | 0o100755);
        match (self.old_mode, self.new_mode) {
            (None, None) => Ok(None),
            (Some(_), _) if self.is_new => Err("a file that is created has no `old mode`"),
            (None, Some(new)) if self.is_new => Ok(Some(match new {
                0o100644 | SYMLINK => return Ok(None),
                0o100755 => ModeChange::Executable(true),
                other => ModeChange::Exact { old: None, new: other & 0o7777 },
            })),
            // In a rename of a symbolic link this only marks it as one.
            (Some(SYMLINK), Some(SYMLINK)) => Ok(None),
            // Git sets the new mode then, whatever the file has.
            (Some(old), Some(new)) if old == new => Err("`old mode` and `new mode` are the same"),
            (Some(old), Some(new)) if is_gits(old) && is_gits(new) => {
                Ok(Some(ModeChange::Executable(new == 0o100755)))
            }
            (Some(old), Some(new)) => {
                Ok(Some(ModeChange::Exact { old: Some(old & 0o7777), new: new & 0o7777 }))
            }
            _ => Err("a change of mode needs `old mode` and `new mode`"),
        }
    }
}

/// Git's id of the empty content.
const EMPTY_ID: &[u8] = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// Reads an `index` line: `OLD..NEW`, followed by the mode if that does not change. People and models
/// write ids of no content (`1234567..abcdefg`) and lines of another form; like git, this ignores
/// both. The mode distinguishes a symbolic link from a file.
fn index(rest: &[u8]) -> Option<Index<'_>> {
    let dot = memchr::memchr(b'.', rest)?;
    let (old, new) = (&rest[..dot], &rest[dot + 1..]);
    let new = new.strip_prefix(b".").filter(|_| old.len() <= ID_BYTES_MAX)?;
    let (new, mode) = match memchr::memchr(b' ', new) {
        Some(space) => (&new[..space], Some(&new[space + 1..])),
        None => (new, None),
    };
    (new.len() <= ID_BYTES_MAX).then_some(Index { old, new, mode })
}

/// The ids of both contents, and the mode if it does not change.
struct Index<'t> {
    old: &'t [u8],
    new: &'t [u8],
    mode: Option<&'t [u8]>,
}

/// The length of an id by SHA-256.
const ID_BYTES_MAX: usize = 64;

fn is_id(id: &[u8]) -> bool {
    !id.is_empty() && id.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
}

const KIND_BITS: u32 = 0o170000;
const SYMLINK: u32 = 0o120000;
const DIRECTORY: u32 = 0o040000;

fn octal(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 6)?;
    u32::from_str_radix(text, 8).ok()
}

/// The mode of a regular file or a symbolic link in octal.
fn mode(text: &[u8], line: usize) -> Result<u32, PatchError> {
    match octal(text) {
        Some(mode) if mode & KIND_BITS == 0o100000 => Ok(mode),
        Some(mode) if mode & KIND_BITS == SYMLINK => Ok(SYMLINK),
        Some(mode) if mode & KIND_BITS == 0o160000 => Err(PatchError::Unsupported {
            line,
            what: "submodules are not supported: Greenroom stages files, symbolic links and directories",
        }),
        _ => {
            let reason = format!("{} is not the mode of a file or of a symbolic link", shown(text));
            Err(PatchError::malformed(line, reason))
        }
    }
}

/// The directory that a line creates or deletes. Greenroom's own diffs use lines of `git diff
/// --summary` for that: `create mode 040755 NAME/`.
pub(crate) fn directory(
    text: &[u8],
    line: usize,
) -> Result<Option<FilePatch<'static>>, PatchError> {
    let (is_new, rest) =
        match (text.strip_prefix(b"create mode "), text.strip_prefix(b"delete mode ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Ok(None),
        };
    let mode = rest.get(..6).and_then(octal).filter(|mode| mode & KIND_BITS == DIRECTORY);
    let name = rest.get(6..).and_then(|rest| rest.strip_prefix(b" ")).and_then(names::whole);
    let (Some(mode), Some(name)) = (mode, name) else { return Ok(None) };
    let path = name.strip_suffix(b"/").unwrap_or(&name).to_vec();
    let change = if is_new { Change::Create { path } } else { Change::Delete { path } };
    let file = FilePatch {
        kind: Some(EntryKind::Directory),
        mode: is_new.then_some(ModeChange::Exact { old: None, new: mode & 0o7777 }),
        is_from_top: true,
        ..FilePatch::new(line, change, Body::Nothing)
    };
    finish(file).map(Some)
}
