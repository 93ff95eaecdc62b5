//! Makes and removes entries below a directory, and follows no link on the way: a command may have put one
//! anywhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::stat::{Kind, Stat};
use crate::walk::{self, Visit, directory_beneath};

/// The directory that an entry is in, and its name there.
fn parent<'p>(root: BorrowedFd<'_>, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (parent, name) = at.map_or((&b"."[..], path), |at| (&path[..at], &path[at + 1..]));
    Ok((directory_beneath(root, parent)?, name))
}

/// Makes a directory for its owner.
pub(crate) fn make_directory(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
    let (parent, name) = parent(root, path)?;
    Ok(rustix::fs::mkdirat(parent, name, Mode::RWXU)?)
}

/// Makes a file with the content, the times and the mode of another one, in place of a file or a link.
pub(crate) fn copy_file(
    mut from: &File,
    root: BorrowedFd<'_>,
    path: &[u8],
    stat: &Stat,
) -> io::Result<()> {
    let (parent, name) = parent(root, path)?;
    unlink(&parent, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut to = File::from(rustix::fs::openat(&parent, name, flags, Mode::RWXU)?);
    // Where the file system can share the blocks, the copy costs no space.
    if rustix::fs::ioctl_ficlone(&to, from).is_err() {
        io::copy(&mut from, &mut to)?;
    }
    rustix::fs::futimens(&to, &times(stat))?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(u32::from(stat.mode)))?;
    Ok(())
}

/// Makes a symbolic link in place of a file or another link.
pub(crate) fn make_link(root: BorrowedFd<'_>, path: &[u8], target: &[u8]) -> io::Result<()> {
    let (parent, name) = parent(root, path)?;
    unlink(&parent, name)?;
    Ok(rustix::fs::symlinkat(target, parent, name)?)
}

/// The target of a link; none where there is none any more.
pub(crate) fn link_target(root: BorrowedFd<'_>, path: &[u8]) -> Option<Vec<u8>> {
    let (parent, name) = parent(root, path).ok()?;
    rustix::fs::readlinkat(parent, name, Vec::new()).ok().map(std::ffi::CString::into_bytes)
}

/// Sets the mode of a directory.
pub(crate) fn set_mode(root: BorrowedFd<'_>, path: &[u8], mode: u16) -> io::Result<()> {
    // No call takes a handle of what may not be read, so it is named by the handle.
    let directory = directory_beneath(root, path)?;
    let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
    Ok(rustix::fs::chmod(name, Mode::from_raw_mode(u32::from(mode)))?)
}

/// Sets the times of an entry.
pub(crate) fn set_times(root: BorrowedFd<'_>, path: &[u8], stat: &Stat) -> io::Result<()> {
    let (parent, name) = parent(root, path)?;
    Ok(rustix::fs::utimensat(parent, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Removes an entry, a directory only if it is empty.
pub(crate) fn remove(root: BorrowedFd<'_>, path: &[u8], kind: Kind) -> io::Result<()> {
    let (parent, name) = parent(root, path)?;
    let is_directory = kind == Kind::Directory;
    let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    Ok(rustix::fs::unlinkat(parent, name, flags)?)
}

/// Removes an entry with everything below it; nothing happens when there is none.
pub(crate) fn remove_all(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
    let Some(found) = walk::stat_beneath(root, path)? else { return Ok(()) };
    if found.kind != Kind::Directory {
        return remove(root, path, found.kind);
    }
    set_mode(root, path, 0o700)?;
    let directory = directory_beneath(root, path)?;
    let mut below = Vec::new();
    walk::walk(
        directory.as_fd(),
        &mut |reached| {
            if reached.kind == Kind::Directory {
                set_mode(directory.as_fd(), reached.path, 0o700)?;
            }
            below.push((reached.path.to_vec(), reached.kind));
            Ok(Visit::Enter)
        },
        &mut |_| {},
    )?;
    // What is in a directory comes after it.
    below.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
    for (path, kind) in below {
        remove(directory.as_fd(), &path, kind)?;
    }
    remove(root, path, Kind::Directory)
}

fn unlink(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn times(stat: &Stat) -> Timestamps {
    let modified =
        Timespec { tv_sec: stat.modified.seconds, tv_nsec: i64::from(stat.modified.nanos) };
    Timestamps { last_access: modified, last_modification: modified }
}
