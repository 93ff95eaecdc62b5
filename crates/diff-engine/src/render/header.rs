//! Writes the lines above a file's hunks: names, modes, renames.

use std::io::{self, Write};

use crate::content::object_id;
use crate::render::names::{quote, quote_spaces};

/// The mode of a symbolic link, whose content is its target, as git's trees have it.
pub const SYMLINK: u32 = 0o120000;

/// The change of one file besides its content.
#[derive(Clone, Copy, Debug)]
pub struct FileHeader<'a> {
    /// What happens to the file.
    pub change: FileChange<'a>,
    /// The mode before: a regular file's permission bits, such as `0o644`, or [`SYMLINK`]. A change
    /// from one to the other is a deletion and a creation.
    pub old_mode: Option<u32>,
    /// The mode after.
    pub new_mode: Option<u32>,
    /// The BLAKE3 digest before, in hexadecimal; shown if the content is not.
    pub old_digest: Option<&'a str>,
    /// The BLAKE3 digest after, in hexadecimal.
    pub new_digest: Option<&'a str>,
}

/// What happens to a file. Paths are relative to the workspace, with `/` between their parts, and
/// any bytes otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange<'a> {
    /// The file is created.
    Create {
        /// Its path.
        path: &'a [u8],
    },
    /// The content changes, and perhaps the mode.
    Modify {
        /// Its path.
        path: &'a [u8],
    },
    /// The file is deleted.
    Delete {
        /// Its path.
        path: &'a [u8],
    },
    /// The file is renamed; content and mode may change too.
    Rename {
        /// Its path before.
        from: &'a [u8],
        /// Its path afterwards.
        to: &'a [u8],
    },
    /// Only the mode changes.
    Mode {
        /// Its path.
        path: &'a [u8],
    },
}

impl<'a> FileChange<'a> {
    /// The path before and the path after; they differ only for a rename.
    pub fn paths(&self) -> (&'a [u8], &'a [u8]) {
        match *self {
            Self::Create { path }
            | Self::Modify { path }
            | Self::Delete { path }
            | Self::Mode { path } => (path, path),
            Self::Rename { from, to } => (from, to),
        }
    }
}

impl<'a> FileHeader<'a> {
    /// A header without modes and digests.
    pub fn new(change: FileChange<'a>) -> Self {
        Self { change, old_mode: None, new_mode: None, old_digest: None, new_digest: None }
    }

    /// Whether the header is written even if the content does not change.
    pub(crate) fn stands_alone(&self) -> bool {
        match self.change {
            FileChange::Modify { .. } | FileChange::Mode { .. } => self.modes().is_some(),
            _ => true,
        }
    }

    /// `diff --git` and the extended lines. `similarity` is a percentage, for a rename.
    ///
    /// `names_follow` means that `---` and `+++` lines follow; otherwise a name with a space must be in
    /// quotes, or `patch` takes its first word for the whole name.
    pub(crate) fn write_extended(
        &self,
        similarity: u8,
        names_follow: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (from, to) = self.change.paths();
        let name = if names_follow { quote } else { quote_spaces };
        let names = [name(&prefixed(b"a/", from)), name(&prefixed(b"b/", to))].join(&b' ');
        out.write_all(&[b"diff --git ", &names[..], b"\n"].concat())?;
        match self.change {
            FileChange::Create { .. } => {
                writeln!(out, "new file mode {}", created_mode(self.new_mode))?;
            }
            FileChange::Delete { .. } => {
                writeln!(out, "deleted file mode {}", git_mode(self.old_mode))?;
            }
            FileChange::Modify { .. } | FileChange::Mode { .. } | FileChange::Rename { .. } => {
                if let Some((old, new)) = self.modes() {
                    writeln!(out, "old mode {old}\nnew mode {new}")?;
                }
            }
        }
        if let FileChange::Rename { from, to } = self.change {
            writeln!(out, "similarity index {similarity}%")?;
            let (from, to) = (quote(from), quote(to));
            out.write_all(&[b"rename from ", &from[..], b"\nrename to ", &to, b"\n"].concat())?;
        }
        Ok(())
    }

    /// The index line of an empty file that is created or deleted, with the ids of its contents.
    ///
    /// `patch` takes it from there that the file is empty, and refuses the deletion without; no
    /// other patch of text needs ids.
    pub(crate) fn write_empty_index(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.change {
            FileChange::Create { .. } => writeln!(out, "index {NO_FILE_ID}..{EMPTY_ID}"),
            FileChange::Delete { .. } => writeln!(out, "index {EMPTY_ID}..{NO_FILE_ID}"),
            _ => Ok(()),
        }
    }

    /// The index line of a symbolic link whose target changes. Only its mode distinguishes it from a
    /// file.
    pub(crate) fn write_link_index(
        &self,
        old: &[u8],
        new: &[u8],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let is_modify =
            matches!(self.change, FileChange::Modify { .. } | FileChange::Rename { .. });
        if !is_modify || self.new_mode != Some(SYMLINK) {
            return Ok(());
        }
        writeln!(out, "index {}..{} {SYMLINK:o}", blob_id(old)?, blob_id(new)?)
    }

    /// The `---` and `+++` lines.
    pub(crate) fn write_names(&self, out: &mut dyn Write) -> io::Result<()> {
        let (old, new) = self.labels();
        for (sign, label) in [(&b"--- "[..], old), (b"+++ ", new)] {
            // Without the tab, `patch` takes what follows a space in a name for a date.
            let needs_tab = label.contains(&b' ') && !label.starts_with(b"\"");
            let end: &[u8] = if needs_tab { b"\t\n" } else { b"\n" };
            out.write_all(&[sign, &label, end].concat())?;
        }
        Ok(())
    }

    /// `a/path` and `b/path`, in quotes if needed, or `/dev/null`.
    pub(crate) fn labels(&self) -> (Vec<u8>, Vec<u8>) {
        let (from, to) = self.change.paths();
        let nothing = b"/dev/null".to_vec();
        let (old, new) = (quote(&prefixed(b"a/", from)), quote(&prefixed(b"b/", to)));
        match self.change {
            FileChange::Create { .. } => (nothing, new),
            FileChange::Delete { .. } => (old, nothing),
            _ => (old, new),
        }
    }

    /// The modes as they are written, if they differ.
    ///
    /// git knows two modes; a difference they cannot express is written with all bits.
    pub(crate) fn modes(&self) -> Option<(String, String)> {
        if self.new_mode == Some(SYMLINK) {
            // Nothing else in a rename shows that it is a link: without these lines, `git apply`
            // refuses changes below the old name.
            let is_rename = matches!(self.change, FileChange::Rename { .. });
            return is_rename.then(|| (git_mode(self.old_mode), git_mode(self.new_mode)));
        }
        let (old, new) = (self.old_mode? & 0o7777, self.new_mode? & 0o7777);
        if old == new {
            return None;
        }
        let made_executable = |mode: u32| mode | ((mode & 0o444) >> 2);
        let git_can = new == made_executable(old) || old == made_executable(new);
        Some(if git_can {
            (git_mode(Some(old)), git_mode(Some(new)))
        } else {
            (format!("{:06o}", 0o100000 | old), format!("{:06o}", 0o100000 | new))
        })
    }
}

/// Git's id of the empty content.
const EMPTY_ID: &str = "e69de29";
/// Git's id of a file that does not exist.
const NO_FILE_ID: &str = "0000000";

/// Git's id of a content, abbreviated as git does.
fn blob_id(content: &[u8]) -> io::Result<String> {
    let mut id = object_id(&mut Some(&mut io::Cursor::new(content)), content.len() as u64)?;
    id.truncate(7);
    Ok(id)
}

fn prefixed(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    [prefix, name].concat()
}

/// The mode of a created file: all bits if they are known, which `git apply` reads as one of its two
/// modes and `patch` sets.
pub(crate) fn created_mode(mode: Option<u32>) -> String {
    match mode.filter(|mode| *mode != SYMLINK) {
        None => git_mode(mode),
        Some(mode) => format!("{:06o}", 0o100000 | (mode & 0o7777)),
    }
}

pub(crate) fn git_mode(mode: Option<u32>) -> String {
    if mode == Some(SYMLINK) {
        return format!("{SYMLINK:o}");
    }
    let executable = mode.is_some_and(|mode| mode & 0o100 != 0);
    if executable { "100755" } else { "100644" }.to_owned()
}

/// Writes the line of a directory that is created or deleted; `mode` is its permission bits.
///
/// Git's patches have no directories. This line has the form that git uses to report modes (`git diff
/// --summary`); `git apply` and `patch` ignore it.
///
/// # Errors
/// Those of `out`.
pub fn write_directory(
    path: &[u8],
    is_new: bool,
    mode: u32,
    out: &mut dyn Write,
) -> io::Result<()> {
    let verb = if is_new { "create" } else { "delete" };
    let name = quote(&[path, b"/"].concat());
    write!(out, "{verb} mode {:06o} ", 0o040000 | (mode & 0o7777))?;
    out.write_all(&[&name[..], b"\n"].concat())
}
