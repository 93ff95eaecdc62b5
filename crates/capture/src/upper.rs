//! Reads the upper directory of an overlay: what was written in a view, and what was removed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use crate::changes::{Entry, EntryKind, Origin};
use crate::stat::Kind;
use crate::walk::{self, Reached, Visit};

/// Reads every entry of the upper directory `upper`, by their paths. What `ignored` accepts is left
/// out, together with everything below it.
///
/// What is read is whatever lies there at that moment: while the view lives, an entry may be in the
/// middle of being written.
///
/// # Errors
///
/// Any error of reading a directory or an entry, except that it vanished meanwhile. A directory
/// that may not be read is an entry of its own, [`EntryKind::Unreadable`].
pub fn read_upper(
    upper: BorrowedFd<'_>,
    ignored: &mut dyn FnMut(&[u8], Kind) -> bool,
) -> io::Result<BTreeMap<Box<[u8]>, Entry>> {
    let mut entries = BTreeMap::new();
    let mut unreadable = Vec::new();
    walk::walk(
        upper,
        &mut |reached| {
            if ignored(reached.path, reached.kind) {
                return Ok(Visit::Skip);
            }
            let Some((stat, extra)) = walk::stat(reached.parent, reached.name)? else {
                return Ok(Visit::Skip);
            };
            let kind = match stat.kind {
                Kind::Other if extra.special == (0, 0) && extra.is_character_device => {
                    EntryKind::Whiteout
                }
                Kind::Other => EntryKind::Special,
                Kind::Symlink => EntryKind::Symlink,
                Kind::Directory => EntryKind::Directory {
                    opaque: attribute(&reached, c"user.overlay.opaque")?
                        == Attribute::Set(Some(b'y')),
                },
                Kind::File => match attribute(&reached, c"user.overlay.whiteout")? {
                    Attribute::Set(_) if stat.size == 0 => EntryKind::Whiteout,
                    _ => EntryKind::File(match attribute(&reached, c"user.overlay.origin")? {
                        Attribute::Set(_) => Origin::Lower,
                        Attribute::Absent => Origin::New,
                        Attribute::Unknown => Origin::Unknown,
                    }),
                },
            };
            entries.insert(reached.path.into(), Entry { kind, stat });
            Ok(Visit::Enter)
        },
        &mut |path| unreadable.push(Box::<[u8]>::from(path)),
    )?;
    for path in unreadable {
        if let Some(entry) = entries.get_mut(&path) {
            entry.kind = EntryKind::Unreadable;
        }
    }
    Ok(entries)
}

/// An extended attribute of an entry.
#[derive(PartialEq, Eq)]
pub(crate) enum Attribute {
    /// It is set; the byte is the first of its value.
    Set(Option<u8>),
    Absent,
    /// The mode of the entry keeps its owner from reading it.
    Unknown,
}

/// Reads an extended attribute of an entry. The kernel escapes the attributes of this name that an
/// agent sets in the view, so that only the kernel's own are found here.
pub(crate) fn attribute(reached: &Reached<'_>, name: &std::ffi::CStr) -> io::Result<Attribute> {
    // There is no call that takes a directory and a name, so the directory is named by its handle.
    let parent = format!("/proc/self/fd/{}/", reached.parent.as_raw_fd());
    let path = [parent.as_bytes(), reached.name.to_bytes()].concat();
    let mut value = [0; 1];
    match rustix::fs::lgetxattr(path, name, &mut value[..]) {
        Ok(bytes) => Ok(Attribute::Set(value[..bytes].first().copied())),
        // Longer than one byte.
        Err(Errno::RANGE) => Ok(Attribute::Set(None)),
        Err(Errno::NODATA | Errno::NOENT | Errno::NOTSUP) => Ok(Attribute::Absent),
        Err(Errno::ACCESS) => Ok(Attribute::Unknown),
        Err(error) => Err(error.into()),
    }
}
