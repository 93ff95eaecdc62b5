//! Reading git's headers: names, modes, renames, ids.

use crate::error::{PatchError, escaped, shown};
use crate::hunks;
use crate::model::{Body, Change, FilePatch, ModeChange};
use crate::names;
use crate::unified::{NOTHING, Reader, binary, finish, labels};

/// What the lines below `diff --git` say.
#[derive(Default)]
struct Extended {
    old_mode: Option<u32>,
    new_mode: Option<u32>,
    is_new: bool,
    is_deleted: bool,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    base_blob: Option<Vec<u8>>,
    /// Whether lines of the header say that the content changes.
    changes_content: bool,
}

/// One file's part that begins with `diff --git`, whose names are `pair`.
pub(crate) fn read<'p>(reader: &mut Reader<'p>, pair: &[u8]) -> Result<FilePatch<'p>, PatchError> {
    let line = reader.line();
    let malformed = |reason: &str| PatchError::Malformed { line, reason: reason.to_owned() };
    reader.next();
    let mut extended = Extended::default();
    while let Some(text) = reader.peek_header() {
        reader.check_cut()?;
        if !extended.take(text, reader.line())? {
            break;
        }
        reader.next();
    }
    let change = change(&extended, pair, line)?;
    let mut body = Body::Nothing;
    if let Some(text) = reader.peek_header() {
        let differ = text.starts_with(b"Binary files ") && text.ends_with(b" differ");
        if differ || text == b"GIT binary patch" {
            return Err(binary(reader.line()));
        }
        if reader.at_file_names() {
            let names_line = reader.line();
            let [(old, _), (new, _)] = labels(reader)?;
            check_label(&old, change.source(), names_line)?;
            check_label(&new, change.target(), names_line + 1)?;
            let hunks = hunks::read(reader)?;
            body = Body::Hunks { hunks, from_crlf: reader.is_crlf };
        } else if text.starts_with(b"--- ") || text.starts_with(b"@@ -") {
            let line = reader.line();
            let reason = "a `---` line, a `+++` line and a hunk should follow here".to_owned();
            return Err(PatchError::Malformed { line, reason });
        }
    }
    if matches!(body, Body::Nothing) && extended.changes_content {
        let is_end = reader.peek().is_none();
        return Err(match is_end {
            true => PatchError::CutOff { line: reader.line() - 1 },
            false => malformed("the content that the header speaks of does not follow"),
        });
    }
    let mode = extended.mode().map_err(malformed)?;
    let is_idle = mode.is_none() && matches!(change, Change::Modify { .. });
    if is_idle && matches!(body, Body::Nothing) {
        return Err(malformed("the file's part changes nothing"));
    }
    let base_blob = extended.base_blob;
    finish(FilePatch { change, mode, base_blob, line, body })
}

fn change(extended: &Extended, pair: &[u8], line: usize) -> Result<Change, PatchError> {
    let malformed = |reason: String| PatchError::Malformed { line, reason };
    match (&extended.from, &extended.to) {
        (Some(_), Some(_)) if extended.is_new || extended.is_deleted => {
            Err(malformed("a file cannot be renamed and created or deleted".into()))
        }
        (Some(from), Some(to)) if from == to => {
            Err(malformed(format!("`{}` is renamed to itself", escaped(from))))
        }
        (Some(from), Some(to)) => Ok(Change::Rename { from: from.clone(), to: to.clone() }),
        (None, None) => {
            let path = names::git_pair(pair).and_then(|(old, new)| names::common(&old, &new));
            let path = path.ok_or_else(|| {
                malformed(format!("{} does not name one file twice", shown(pair)))
            })?;
            match (extended.is_new, extended.is_deleted) {
                (true, true) => Err(malformed("a file cannot be created and deleted".into())),
                (true, false) => Ok(Change::Create { path }),
                (false, true) => Ok(Change::Delete { path }),
                (false, false) => Ok(Change::Modify { path }),
            }
        }
        _ => Err(malformed("a rename wants `rename from` and `rename to`".into())),
    }
}

fn check_label(label: &[u8], name: Option<&[u8]>, line: usize) -> Result<(), PatchError> {
    let fits = match name {
        None => label == NOTHING,
        Some(name) => names::stands_for(label, name),
    };
    if fits {
        return Ok(());
    }
    let name = escaped(name.unwrap_or(NOTHING));
    let reason = format!("`{}` is not `{name}`, which the header above names", escaped(label));
    Err(PatchError::Malformed { line, reason })
}

impl Extended {
    /// Takes a line; whether it is one of the header's.
    fn take(&mut self, text: &[u8], line: usize) -> Result<bool, PatchError> {
        let bad_name = || PatchError::Malformed {
            line,
            reason: format!("the name in {} is not quoted as it should be", shown(text)),
        };
        let name = |rest: &[u8]| names::whole(rest).ok_or_else(bad_name);
        if let Some(rest) = text.strip_prefix(b"old mode ") {
            self.old_mode = Some(mode(rest, line)?);
        } else if let Some(rest) = text.strip_prefix(b"new mode ") {
            self.new_mode = Some(mode(rest, line)?);
        } else if let Some(rest) = text.strip_prefix(b"new file mode ") {
            self.new_mode = Some(mode(rest, line)?);
            self.is_new = true;
        } else if let Some(rest) = text.strip_prefix(b"deleted file mode ") {
            mode(rest, line)?;
            self.is_deleted = true;
        } else if let Some(rest) =
            text.strip_prefix(b"rename from ").or(text.strip_prefix(b"rename old "))
        {
            self.from = Some(name(rest)?);
        } else if let Some(rest) =
            text.strip_prefix(b"rename to ").or(text.strip_prefix(b"rename new "))
        {
            self.to = Some(name(rest)?);
        } else if text.starts_with(b"copy from ") || text.starts_with(b"copy to ") {
            let what = "copies are not read: create the new file with its content";
            return Err(PatchError::Unsupported { line, what });
        } else if let Some(rest) = text.strip_prefix(b"index ") {
            let (old, new) = index(rest, line)?;
            // An empty file comes or goes without a hunk; what else differs is written out.
            let is_empty = |id: &[u8]| EMPTY_ID.starts_with(id) || id.starts_with(EMPTY_ID);
            self.changes_content |=
                old != new && !is_empty(if self.is_deleted { old } else { new });
            self.base_blob = Some(old.to_vec());
        } else if let Some(rest) = text.strip_prefix(b"similarity index ") {
            self.changes_content |= rest != b"100%";
        } else {
            return Ok(text.starts_with(b"dissimilarity index "));
        }
        Ok(true)
    }

    fn mode(&self) -> Result<Option<ModeChange>, &'static str> {
        let is_gits = |mode: u32| matches!(mode, 0o100644 | 0o100755);
        match (self.old_mode, self.new_mode) {
            (None, None) => Ok(None),
            (None, Some(new)) if self.is_new => Ok(Some(match new {
                0o100644 => return Ok(None),
                0o100755 => ModeChange::Executable(true),
                other => ModeChange::Exact { old: None, new: other & 0o7777 },
            })),
            (Some(old), Some(new)) if old == new => Ok(None),
            (Some(old), Some(new)) if is_gits(old) && is_gits(new) => {
                Ok(Some(ModeChange::Executable(new == 0o100755)))
            }
            (Some(old), Some(new)) => {
                Ok(Some(ModeChange::Exact { old: Some(old & 0o7777), new: new & 0o7777 }))
            }
            _ => Err("a change of mode wants `old mode` and `new mode`"),
        }
    }
}

/// What git calls the empty content.
const EMPTY_ID: &[u8] = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// The ids of the two contents in an `index` line, `OLD..NEW` with the mode behind it when that
/// stays as it is. The mode is checked too: it is what tells the text of a symbolic link from that
/// of a file.
fn index(rest: &[u8], line: usize) -> Result<(&[u8], &[u8]), PatchError> {
    let malformed = || PatchError::Malformed {
        line,
        reason: format!("{} does not name two contents", shown(rest)),
    };
    let is_id = |id: &[u8]| {
        !id.is_empty() && id.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
    };
    let (ids, kept_mode) = match memchr::memchr(b' ', rest) {
        Some(space) => (&rest[..space], Some(&rest[space + 1..])),
        None => (rest, None),
    };
    let dots = memchr::memmem::find(ids, b"..").ok_or_else(malformed)?;
    let (old, new) = (&ids[..dots], &ids[dots + 2..]);
    if !is_id(old) || !is_id(new) {
        return Err(malformed());
    }
    if let Some(kept_mode) = kept_mode {
        mode(kept_mode, line)?;
    }
    Ok((old, new))
}

/// A regular file's mode in octal.
fn mode(text: &[u8], line: usize) -> Result<u32, PatchError> {
    let number = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() == 6)
        .and_then(|text| u32::from_str_radix(text, 8).ok());
    match number {
        Some(mode) if mode & 0o170000 == 0o100000 => Ok(mode),
        Some(mode) if mode & 0o170000 == 0o120000 => Err(PatchError::Unsupported {
            line,
            what: "symbolic links are not read: Greenroom stages regular files",
        }),
        Some(mode) if mode & 0o170000 == 0o160000 => Err(PatchError::Unsupported {
            line,
            what: "submodules are not read: Greenroom stages regular files",
        }),
        _ => Err(PatchError::Malformed {
            line,
            reason: format!("{} is no regular file's mode", shown(text)),
        }),
    }
}
