//! Keeps a private copy of a workspace, for a view of what no overlay can show.
//!
//! The copy is read-only to commands: what they write goes to the upper directory above it, as in a view
//! of the workspace itself. So the copy only has to follow the workspace.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

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
) -> io::Result<Mirrored> {
    let found = survey(root, &mut |_, _| false)?;
    let mut unreadable = found.unreadable;
    let copied = found.snapshot;
    remove_others(copy, &copied)?;
    let mut files = Vec::new();
    for (path, stat) in copied.iter() {
        let there = stat_beneath(copy, path)?;
        match stat.kind {
            Kind::Directory => match there {
                Some(_) => set_mode(copy, path, stat.mode | 0o700)?,
                None => rustix::fs::mkdirat(copy, path, Mode::RWXU)?,
            },
            Kind::File if there.is_none() || earlier.settled(path) != Some(stat) => {
                files.push((path, *stat));
            }
            Kind::Symlink if there.is_none() || earlier.settled(path) != Some(stat) => {
                link(root, copy, path)?;
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
        set_times(copy, path, stat)?;
        set_mode(copy, path, stat.mode)?;
    }
    Ok(Mirrored { copied, unreadable })
}

/// Removes what the workspace does not have, or has as another kind.
fn remove_others(copy: BorrowedFd<'_>, copied: &Snapshot) -> io::Result<()> {
    let mut others = BTreeMap::new();
    let mut visit = |reached: walk::Reached<'_>| {
        if reached.kind == Kind::Directory {
            set_mode(copy, reached.path, 0o700)?;
        }
        if copied.get(reached.path).map(|stat| stat.kind) != Some(reached.kind) {
            others.insert(reached.path.to_vec(), reached.kind);
        }
        Ok(Visit::Enter)
    };
    walk::walk(copy, &mut visit, &mut |_| {})?;
    // What is in a directory comes before it.
    for (path, kind) in others.into_iter().rev() {
        let is_directory = kind == Kind::Directory;
        let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(copy, &path[..], flags)?;
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
                Ok(from) => copy_file(&from, copy, path, stat)?,
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

fn copy_file(mut from: &File, copy: BorrowedFd<'_>, path: &[u8], stat: &Stat) -> io::Result<()> {
    match rustix::fs::unlinkat(copy, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut to = File::from(rustix::fs::openat(copy, path, flags, Mode::RWXU)?);
    // Where the file system can share the blocks, the copy costs no space.
    if rustix::fs::ioctl_ficlone(&to, from).is_err() {
        io::copy(&mut from, &mut to)?;
    }
    rustix::fs::futimens(&to, &times(stat))?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(u32::from(stat.mode)))?;
    Ok(())
}

fn link(root: BorrowedFd<'_>, copy: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
    let Ok(target) = rustix::fs::readlinkat(root, path, Vec::new()) else { return Ok(()) };
    match rustix::fs::unlinkat(copy, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(rustix::fs::symlinkat(target, copy, path)?)
}

fn set_mode(copy: BorrowedFd<'_>, path: &[u8], mode: u16) -> io::Result<()> {
    let mode = Mode::from_raw_mode(u32::from(mode));
    Ok(rustix::fs::chmodat(copy, path, mode, AtFlags::empty())?)
}

fn set_times(copy: BorrowedFd<'_>, path: &[u8], stat: &Stat) -> io::Result<()> {
    Ok(rustix::fs::utimensat(copy, path, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(stat: &Stat) -> Timestamps {
    let modified =
        Timespec { tv_sec: stat.modified.seconds, tv_nsec: i64::from(stat.modified.nanos) };
    Timestamps { last_access: modified, last_modification: modified }
}
