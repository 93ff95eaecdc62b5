//! Compares a copy of the workspace with the workspace, as the entries of an upper directory would say
//! what differs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::io::Errno;

use crate::changes::{Entry, EntryKind, Origin};
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat};
use crate::walk::{self, Reached, Visit, directory_beneath, open_beneath};

/// Reads what the copy `dir` differs in from the workspace `root`, which was `now` just now. What
/// `ignored` accepts is left out on both sides; with `is_partial`, what the copy lacks is left out too.
///
/// Modes count as far as a file is executable. Of a directory that cannot be read nothing is known. What
/// was written just now is in the second answer.
pub(crate) fn differences(
    dir: BorrowedFd<'_>,
    root: BorrowedFd<'_>,
    now: &Snapshot,
    is_partial: bool,
    ignored: &mut dyn FnMut(&[u8], Kind) -> bool,
) -> io::Result<(Entries, Vec<Box<[u8]>>)> {
    let (copy, unreadable) = read(dir, ignored)?;
    let mut found = BTreeMap::new();
    for (path, stat) in &copy {
        let before = now.get(path);
        let same_kind = before.filter(|before| before.kind == stat.kind);
        let kind = match (stat.kind, same_kind) {
            _ if unreadable.contains(path) => EntryKind::Unreadable,
            (Kind::File, Some(before)) if is_same_file(dir, root, path, stat, before)? => continue,
            (Kind::Symlink, Some(_)) if target(dir, path)? == target(root, path)? => continue,
            (Kind::Other, Some(_)) => continue,
            (Kind::File, _) => EntryKind::File(Origin::Unknown),
            (Kind::Symlink, _) => EntryKind::Symlink,
            (Kind::Other, None) => EntryKind::Special,
            (Kind::Directory, _) => EntryKind::Directory { opaque: false },
        };
        let mode = match (kind, same_kind) {
            // It comes from the umask of the one who copied it.
            (EntryKind::Directory { .. }, Some(before)) => before.mode,
            _ => stat.mode,
        };
        found.insert(path.clone(), Entry { kind, stat: Stat { mode, ..*stat } });
    }
    let is_hidden = |path: &[u8]| {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(at, _)| &path[..at]).any(|above| unreadable.iter().any(|dir| **dir == *above))
    };
    let mut unsettled = Vec::new();
    for (path, stat) in now.iter().filter(|_| !is_partial) {
        if stat.kind == Kind::Other || copy.contains_key(path) || is_hidden(path) {
            continue;
        }
        match walk::stat_beneath(dir, path)? {
            Some(_) => unsettled.push(path.into()),
            None => {
                found.insert(path.into(), Entry { kind: EntryKind::Whiteout, stat: *stat });
            }
        }
    }
    Ok((found, unsettled))
}

pub(crate) type Entries = BTreeMap<Box<[u8]>, Entry>;
type Copy = (BTreeMap<Box<[u8]>, Stat>, Vec<Box<[u8]>>);

/// Every entry of a directory, and those below it that cannot be read.
fn read(dir: BorrowedFd<'_>, ignored: &mut dyn FnMut(&[u8], Kind) -> bool) -> io::Result<Copy> {
    let (mut entries, mut unreadable) = (BTreeMap::new(), Vec::new());
    let mut visit = |reached: Reached<'_>| {
        if ignored(reached.path, reached.kind) {
            return Ok(Visit::Skip);
        }
        let found = walk::stat(reached.parent, reached.name)?;
        let Some((stat, _)) = found else { return Ok(Visit::Skip) };
        entries.insert(reached.path.into(), stat);
        Ok(Visit::Enter)
    };
    walk::walk(dir, &mut visit, &mut |path| unreadable.push(path.into()))?;
    Ok((entries, unreadable))
}

/// Whether both files have the same content, and both or neither are executable. What cannot be read
/// differs.
fn is_same_file(
    dir: BorrowedFd<'_>,
    root: BorrowedFd<'_>,
    path: &[u8],
    copy: &Stat,
    before: &Stat,
) -> io::Result<bool> {
    if (copy.mode ^ before.mode) & 0o100 != 0 || copy.size != before.size {
        return Ok(false);
    }
    if (copy.device, copy.inode) == (before.device, before.inode) {
        return Ok(true);
    }
    let (Some(mut copy), Some(mut before)) = (open(dir, path)?, open(root, path)?) else {
        return Ok(false);
    };
    let (mut ours, mut theirs) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let (read, other) = (fill(&mut copy, &mut ours)?, fill(&mut before, &mut theirs)?);
        if ours[..read] != theirs[..other] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Opens a file to be read; none where it was replaced just now, or its mode forbids it.
fn open(dir: BorrowedFd<'_>, path: &[u8]) -> io::Result<Option<File>> {
    match open_beneath(dir, path) {
        Ok(file) => {
            let kind = walk::stat_of(file.as_fd())?.kind;
            Ok(Some(file).filter(|_| kind == Kind::File))
        }
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ACCESS | Errno::PERM) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The target of a link; none where it was replaced just now.
fn target(dir: BorrowedFd<'_>, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (parent, name) = at.map_or((&b"."[..], path), |at| (&path[..at], &path[at + 1..]));
    let read = directory_beneath(dir, parent)
        .and_then(|parent| rustix::fs::readlinkat(parent, name, Vec::new()));
    match read {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
