//! Keeps a private copy of a workspace, for a command that cannot get a view of the workspace itself.
//!
//! Where an overlay lies above the copy, the command writes nothing in it, and the copy only has to
//! follow the workspace. Where the command works in the copy, what it has changed is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::beneath;
use crate::bytes::Bytes;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat};
use crate::survey::survey;
use crate::walk::{self, Visit, open_beneath, stat_beneath};

/// What a copy was made from, and what it lacks.
pub(crate) struct Mirrored {
    /// Every entry of the workspace, ignored ones too.
    pub(crate) copied: Snapshot,
    /// What cannot be read.
    pub(crate) unreadable: Vec<Box<[u8]>>,
}

/// What commands have changed in a copy.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Paths that are left as they are.
    pub(crate) kept: BTreeSet<Bytes>,
    /// Paths that are made what they are in the workspace again.
    pub(crate) restored: BTreeSet<Bytes>,
    /// The modes of the kept directories, which are opened meanwhile.
    #[serde(default)]
    pub(crate) modes: Vec<(Bytes, u16)>,
}

/// Makes the directory `copy` what the workspace `root` is. `earlier` is what the copy was made from
/// the last time: what has not changed since is not copied again. Files that another program writes
/// meanwhile may be torn; they have changed since the snapshot that was taken before.
///
/// # Errors
/// Any error of reading the workspace, except that an entry may not be read or has vanished, and of
/// writing the copy. The next call goes on from there.
pub(crate) fn mirror(
    root: BorrowedFd<'_>,
    copy: BorrowedFd<'_>,
    earlier: &Snapshot,
    changed: &Changed,
) -> io::Result<Mirrored> {
    let found = survey(root, &mut |_, _| false)?;
    let mut unreadable = found.unreadable;
    let copied = found.snapshot;
    remove_others(copy, &copied, changed)?;
    let hidden = changed.hidden(copy)?;
    let mut files = Vec::new();
    for (path, stat) in copied.iter() {
        if changed.is_kept(path, stat.kind, &hidden) {
            continue;
        }
        let there = stat_beneath(copy, path)?;
        let is_new = there.is_none()
            || earlier.settled(path) != Some(stat)
            || changed.restored.contains(path);
        match stat.kind {
            Kind::Directory => match there {
                Some(_) => beneath::set_mode(copy, path, stat.mode | 0o700)?,
                None => beneath::make_directory(copy, path)?,
            },
            Kind::File if is_new => files.push((path, *stat)),
            Kind::Symlink if is_new => {
                if let Some(target) = beneath::link_target(root, path) {
                    beneath::make_link(copy, path, &target)?;
                }
            }
            // A FIFO or a socket has no content, and a device is not the user's to make.
            Kind::File | Kind::Symlink | Kind::Other => {}
        }
    }
    for path in copy_files(root, copy, &files)? {
        unreadable.push(path);
    }
    // What is in a directory has been written.
    for (path, stat) in copied.iter().filter(|(_, stat)| stat.kind == Kind::Directory) {
        if !changed.is_kept(path, stat.kind, &hidden) {
            beneath::set_times(copy, path, stat)?;
            beneath::set_mode(copy, path, stat.mode)?;
        }
    }
    let kept = changed.modes.iter().rev().filter(|(path, _)| changed.kept.contains(path));
    for (Bytes(path), mode) in kept {
        beneath::set_mode(copy, path, *mode)?;
    }
    Ok(Mirrored { copied, unreadable })
}

impl Changed {
    /// The kept paths at which the copy has no directory: nothing is below them.
    pub(crate) fn hidden(&self, copy: BorrowedFd<'_>) -> io::Result<BTreeSet<&[u8]>> {
        let mut hidden = BTreeSet::new();
        for Bytes(path) in &self.kept {
            let there = stat_beneath(copy, path)?;
            if there.is_none_or(|there| there.kind != Kind::Directory) {
                hidden.insert(&**path);
            }
        }
        Ok(hidden)
    }

    /// Whether an entry of the workspace is not copied: the command has changed it, or something above
    /// it, or what a file would replace.
    pub(crate) fn is_kept(&self, path: &[u8], kind: Kind, hidden: &BTreeSet<&[u8]>) -> bool {
        let slashes = || path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        self.kept.contains(path)
            || !hidden.is_empty() && slashes().any(|(at, _)| hidden.contains(&path[..at]))
            || kind != Kind::Directory && self.is_above(path)
    }

    /// Whether the command has changed something below a path.
    pub(crate) fn is_above(&self, path: &[u8]) -> bool {
        let prefix = [path, b"/"].concat();
        let bounds = (Bound::Included(&*prefix), Bound::Unbounded);
        let next = self.kept.range::<[u8], _>(bounds).next();
        next.is_some_and(|next| next.0.starts_with(&prefix))
    }
}

/// Removes what the workspace does not have, or has as another kind.
fn remove_others(copy: BorrowedFd<'_>, copied: &Snapshot, changed: &Changed) -> io::Result<()> {
    let mut others = BTreeMap::new();
    let mut visit = |reached: walk::Reached<'_>| {
        let is_kept = changed.kept.contains(reached.path);
        if reached.kind == Kind::Directory {
            beneath::set_mode(copy, reached.path, 0o700)?;
        }
        let is_other = copied.get(reached.path).map(|stat| stat.kind) != Some(reached.kind);
        if is_other && !is_kept && !changed.is_above(reached.path) {
            others.insert(reached.path.to_vec(), reached.kind);
        }
        Ok(Visit::Enter)
    };
    walk::walk(copy, &mut visit, &mut |_| {})?;
    // What is in a directory comes before it.
    for (path, kind) in others.into_iter().rev() {
        beneath::remove(copy, &path, kind)?;
    }
    Ok(())
}

/// Copies files with several threads: most of the time goes into waiting for the disk. Returns those
/// that cannot be read.
fn copy_files(
    root: BorrowedFd<'_>,
    copy: BorrowedFd<'_>,
    files: &[(&[u8], Stat)],
) -> io::Result<Vec<Box<[u8]>>> {
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<Vec<Box<[u8]>>> {
        let mut unreadable = Vec::new();
        while let Some((path, stat)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            match open_beneath(root, path) {
                Ok(from) => beneath::copy_file(&from, copy, path, stat)?,
                Err(Errno::ACCESS | Errno::PERM) => unreadable.push(Box::from(*path)),
                // It was replaced just now, and is stale if the command changes it.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(unreadable)
    };
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() * 2);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut unreadable = Vec::new();
        for worker in workers {
            let found = worker.join().map_err(|_| io::Error::other("a thread panicked"))?;
            unreadable.extend(found?);
        }
        Ok(unreadable)
    })
}
