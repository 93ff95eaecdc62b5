//! Walks a tree on directory handles, and follows no link.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, StatxTimestamp,
};
use rustix::io::Errno;

use crate::stat::{Kind, Stat, Timestamp};

/// An entry that the walk has reached.
pub(crate) struct Reached<'a> {
    /// The path below the root, with `/` between names.
    pub(crate) path: &'a [u8],
    /// The directory that the entry is in.
    pub(crate) parent: BorrowedFd<'a>,
    /// The last name of the path.
    pub(crate) name: &'a CStr,
    pub(crate) kind: Kind,
}

/// What the walk does with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// Walk on; into the entry, if it is a directory.
    Enter,
    /// Leave out what is below the entry.
    Skip,
}

/// Walks everything below `root`, in no particular order: each directory before what is in it. One
/// directory is open at a time, however deep the tree is.
///
/// An entry that vanishes while the walk is on its way is left out. A directory is handed to
/// `unreadable` if it may not be read, if another kind of entry has replaced it, or if its path is
/// longer than the kernel takes.
pub(crate) fn walk(
    root: BorrowedFd<'_>,
    visit: &mut dyn FnMut(Reached<'_>) -> io::Result<Visit>,
    unreadable: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let mut waiting: Vec<Box<[u8]>> = vec![Box::from(&b""[..])];
    while let Some(directory) = waiting.pop() {
        let mut entries = match open_directory(root, &directory).and_then(Dir::new) {
            Ok(entries) => entries,
            Err(Errno::NOENT) if !directory.is_empty() => continue,
            Err(Errno::ACCESS | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
                if !directory.is_empty() =>
            {
                unreadable(&directory);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut path = directory.into_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let prefix_bytes = path.len();
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            path.truncate(prefix_bytes);
            path.extend_from_slice(name.to_bytes());
            let parent = entries.fd()?;
            let kind = match kind_of(entry.file_type()) {
                Some(kind) => kind,
                None => match stat(parent, name)? {
                    Some((stat, _)) => stat.kind,
                    None => continue,
                },
            };
            let step = visit(Reached { path: &path, parent, name, kind })?;
            if step == Visit::Enter && kind == Kind::Directory {
                waiting.push(path.as_slice().into());
            }
        }
    }
    Ok(())
}

/// Stays below the root, and follows no link.
pub(crate) const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// Opens a directory below `root` to be read, without following a link on the way.
fn open_directory(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH)
}

/// Opens a file to be read, without waiting for a FIFO.
pub(crate) fn open_beneath(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH).map(File::from)
}

/// Opens a directory below `root` to reach what is in it.
pub(crate) fn directory_beneath(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH)
}

fn kind_of(file_type: FileType) -> Option<Kind> {
    match file_type {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Symlink),
        // Some file systems do not say it in the directory.
        FileType::Unknown => None,
        _ => Some(Kind::Other),
    }
}

/// What `statx` reports of an entry beyond [`Stat`].
pub(crate) struct Extra {
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) is_character_device: bool,
    /// The number of a device, major and minor.
    pub(crate) special: (u32, u32),
    /// The bytes that it takes on the disk.
    pub(crate) allocated: u64,
}

/// Reads the stat of a name in a directory, none if nothing has that name.
pub(crate) fn stat(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<(Stat, Extra)>> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    match rustix::fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, wanted) {
        Ok(found) => Ok(Some((convert(&found), extra(&found)))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The status of what lies at a path; none when nothing does, or the way leads through a link or a
/// file.
pub(crate) fn stat_beneath(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Option<Stat>> {
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (parent, name) = at.map_or((&b"."[..], path), |at| (&path[..at], &path[at + 1..]));
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = directory_beneath(root, parent)
        .and_then(|parent| rustix::fs::openat(parent, name, flags, Mode::empty()));
    match opened {
        Ok(opened) => stat_of(opened.as_fd()).map(Some),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the stat of what is open.
pub(crate) fn stat_of(opened: BorrowedFd<'_>) -> io::Result<Stat> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    Ok(convert(&rustix::fs::statx(opened, c"", flags, wanted)?))
}

fn extra(found: &Statx) -> Extra {
    Extra {
        user: found.stx_uid,
        group: found.stx_gid,
        is_character_device: file_type(found) == FileType::CharacterDevice,
        special: (found.stx_rdev_major, found.stx_rdev_minor),
        allocated: found.stx_blocks.saturating_mul(512),
    }
}

fn file_type(found: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(found.stx_mode))
}

fn convert(found: &Statx) -> Stat {
    let time = |time: StatxTimestamp| Timestamp { seconds: time.tv_sec, nanos: time.tv_nsec };
    let born = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    Stat {
        kind: kind_of(file_type(found)).unwrap_or(Kind::Other),
        mode: found.stx_mode & 0o7777,
        device: u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor),
        inode: found.stx_ino,
        size: found.stx_size,
        modified: time(found.stx_mtime),
        changed: time(found.stx_ctime),
        born: born.then(|| time(found.stx_btime)),
    }
}
