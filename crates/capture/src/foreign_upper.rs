//! Reads the upper directory of an overlay that another program has mounted: the kernel's with either
//! kind of attributes, or fuse-overlayfs.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;

use crate::changes::EntryKind;
use crate::stat::Kind;
use crate::tree::Entries;
use crate::upper::{Attribute, attribute, read_upper};
use crate::walk::{self, Visit};

/// fuse-overlayfs begins the name of a whiteout like this where it can make no device.
const WHITEOUT: &[u8] = b".wh.";
/// And gives a directory an empty file of this name where it can set no attribute.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an upper directory holds.
pub(crate) enum Read {
    Entries(Entries),
    /// The content of this path is elsewhere: a directory was renamed (`redirect_dir`), or only the
    /// attributes of a file were copied (`metacopy`).
    Elsewhere(Box<[u8]>),
}

/// Reads every entry, as [`read_upper`] does.
pub(crate) fn read(
    upper: BorrowedFd<'_>,
    ignored: &mut dyn FnMut(&[u8], Kind) -> bool,
) -> io::Result<Read> {
    let mut entries = read_upper(upper, ignored)?;
    let (mut opaque, mut removed) = (BTreeSet::new(), BTreeSet::new());
    let mut elsewhere = None;
    let mut visit = |reached: walk::Reached<'_>| {
        if !entries.contains_key(reached.path) || elsewhere.is_some() {
            return Ok(Visit::Skip);
        }
        let is_set = |names: &[&std::ffi::CStr], value: Option<u8>| -> io::Result<bool> {
            for name in names {
                match attribute(&reached, name)? {
                    Attribute::Set(found) if value.is_none() || found == value => return Ok(true),
                    _ => {}
                }
            }
            Ok(false)
        };
        match reached.kind {
            Kind::Directory
                if is_set(&[c"trusted.overlay.redirect", c"user.overlay.redirect"], None)? =>
            {
                elsewhere = Some(Box::from(reached.path));
            }
            Kind::Directory => {
                let names = [c"trusted.overlay.opaque", c"user.fuseoverlayfs.opaque"];
                if is_set(&names, Some(b'y'))? {
                    opaque.insert(Box::<[u8]>::from(reached.path));
                }
            }
            Kind::File
                if is_set(&[c"trusted.overlay.metacopy", c"user.overlay.metacopy"], None)? =>
            {
                elsewhere = Some(Box::from(reached.path));
            }
            Kind::File if is_set(&[c"trusted.overlay.whiteout"], None)? => {
                removed.insert(Box::<[u8]>::from(reached.path));
            }
            _ => {}
        }
        Ok(Visit::Enter)
    };
    walk::walk(upper, &mut visit, &mut |_| {})?;
    if let Some(path) = elsewhere {
        return Ok(Read::Elsewhere(path));
    }
    let marks: Vec<Box<[u8]>> = entries
        .iter()
        .filter(|(path, entry)| is_file(entry.kind) && entry.stat.size == 0 && is_mark(path))
        .map(|(path, _)| path.clone())
        .collect();
    for path in marks {
        let Some(mark) = entries.remove(&path) else { continue };
        let (parent, name) = split(&path);
        if name == OPAQUE {
            opaque.insert(parent.into());
            continue;
        }
        let hidden = [&path[..path.len() - name.len()], &name[WHITEOUT.len()..]].concat();
        if !ignored(&hidden, Kind::File) {
            let mut whiteout = mark;
            whiteout.kind = EntryKind::Whiteout;
            // What was made in its place since hides it too.
            entries.entry(hidden.into()).or_insert(whiteout);
        }
    }
    for path in removed {
        if let Some(entry) = entries.get_mut(&path).filter(|entry| entry.stat.size == 0) {
            entry.kind = EntryKind::Whiteout;
        }
    }
    for path in opaque {
        if let Some(entry) = entries.get_mut(&path)
            && matches!(entry.kind, EntryKind::Directory { .. })
        {
            entry.kind = EntryKind::Directory { opaque: true };
        }
    }
    Ok(Read::Entries(entries))
}

fn is_file(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::File(_))
}

fn is_mark(path: &[u8]) -> bool {
    let name = split(path).1;
    name == OPAQUE || name.strip_prefix(WHITEOUT).is_some_and(|name| !name.is_empty())
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|byte| *byte == b'/');
    at.map_or((&[], path), |at| (&path[..at], &path[at + 1..]))
}
