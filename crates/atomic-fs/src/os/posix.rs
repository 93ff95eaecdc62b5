//! [`Disk`] on Linux, macOS and the BSDs.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

#[cfg(target_os = "linux")]
use crate::os::disk::Lease;
use crate::os::disk::{Carried, DirLock, Disk, Entry, FileKind, LinkLike, NameIn, Stat};
use crate::os::file_state::has_stamp;
use crate::rel_path::RelPath;

#[cfg(target_os = "linux")]
mod flags;
#[cfg(target_os = "linux")]
mod lease;
mod metadata;
mod open;

use metadata::mode_bits;
use open::DIR_FLAGS;

/// Syncs wait on the device, not on the processor: a journalling file system
/// serves many of them with one commit.
const CALLS_IN_FLIGHT_MAX: usize = 64;

/// Each call in flight can have this many descriptors open: a batch of slots, the staged
/// content, the original, and a directory that is just being opened; and half of what the
/// process may open is not ours.
const DESCRIPTORS_PER_CALL: usize = 16;

/// The part of the process's descriptors that open directories may take.
const DESCRIPTORS_PER_DIR: usize = 8;

/// How many files this process may have open, getrlimit(2): often 1,024, on macOS 256. Asked once,
/// since an apply wants to know it some twenty times; who lowers it later gets an error for a file
/// that cannot be opened, and nothing worse.
fn descriptors_max() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
    })
}

/// The machine's own file systems.
#[derive(Clone, Copy, Debug, Default)]
pub struct PosixDisk;

impl PosixDisk {
    /// Opens a directory by any path; the caller vouches for it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        Ok(fs::open(path, DIR_FLAGS, Mode::empty())?)
    }
}

impl Disk for PosixDisk {
    type Dir = OwnedFd;
    type File = OwnedFd;

    fn calls_in_flight(&self) -> usize {
        (descriptors_max() / DESCRIPTORS_PER_CALL).clamp(1, CALLS_IN_FLIGHT_MAX)
    }

    fn open_dirs_max(&self) -> usize {
        (descriptors_max() / DESCRIPTORS_PER_DIR).clamp(1, 1024)
    }

    fn open_dir_beneath(
        &self,
        root: &OwnedFd,
        path: Option<&RelPath>,
        cross_mounts: bool,
    ) -> io::Result<OwnedFd> {
        open::dir_beneath(root, path, cross_mounts)
    }

    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "differs by system")]
    fn identity(&self, dir: &OwnedFd) -> io::Result<(u64, u64)> {
        let stat = fs::fstat(dir)?;
        Ok((stat.st_dev as u64, stat.st_ino as u64))
    }

    fn stat(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<Stat> {
        Ok(stat_from(&fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    #[cfg(target_os = "linux")]
    fn default_mode(&self, dir: &OwnedFd) -> io::Result<Option<u32>> {
        metadata::default_mode(dir)
    }

    fn create_symlink(
        &self,
        dir: &OwnedFd,
        name: &[u8],
        target: &[u8],
        like: LinkLike,
    ) -> io::Result<()> {
        fs::symlinkat(target, dir, name)?;
        if let Some((uid, gid)) = like.owner {
            let now = self.stat(dir, name)?;
            if (now.uid, now.gid) != (uid, gid) {
                let owner = Some(fs::Uid::from_raw(uid));
                let group = Some(fs::Gid::from_raw(gid));
                fs::chownat(dir, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        if let Some(modified_ns) = like.modified_ns {
            let times = timestamps(modified_ns);
            fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            if !has_stamp(self.stat(dir, name)?.modified_ns, modified_ns) {
                return Err(stamp_not_kept());
            }
        }
        Ok(())
    }

    fn read_link(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(fs::readlinkat(dir, name, Vec::new())?.into_bytes())
    }

    fn list(&self, dir: &OwnedFd) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let kind = match entry.file_type() {
                    fs::FileType::Unknown => None,
                    known => Some(kind_from(known)),
                };
                entries.push(Entry { name: name.to_vec(), kind });
            }
        }
        Ok(entries)
    }

    fn open_file(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        open::file(dir, name)
    }

    fn open_own_file(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        // NONBLOCK: what was put in its place may be a FIFO.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(fs::openat(dir, name, flags, Mode::empty())?)
    }

    fn create_file(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?)
    }

    fn file_stat(&self, file: &OwnedFd) -> io::Result<Stat> {
        Ok(stat_from(&fs::fstat(file)?))
    }

    fn read_at(&self, file: &OwnedFd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *buffer, offset))?)
    }

    fn write_at(&self, file: &OwnedFd, buffer: &[u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::pwrite(file, buffer, offset))?)
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, file: &OwnedFd, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        match fs::fallocate(file, fs::FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            answer => Ok(answer?),
        }
    }

    fn lengthen(&self, file: &OwnedFd, bytes: u64) -> io::Result<()> {
        Ok(fs::ftruncate(file, bytes)?)
    }

    #[cfg(target_os = "linux")]
    fn has_capabilities(&self, file: &OwnedFd) -> io::Result<bool> {
        metadata::has_capabilities(file)
    }

    #[cfg(target_os = "linux")]
    fn copy_flags(&self, from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
        flags::copy(from, to)
    }

    fn copy_metadata(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        mode: u32,
        content: Carried,
    ) -> io::Result<()> {
        metadata::copy(from, to, mode, content)
    }

    fn set_mode(&self, file: &OwnedFd, mode: u32) -> io::Result<()> {
        Ok(fs::fchmod(file, mode_bits(mode))?)
    }

    fn set_modified(&self, file: &OwnedFd, modified_ns: i64) -> io::Result<()> {
        fs::futimens(file, &timestamps(modified_ns))?;
        match has_stamp(self.file_stat(file)?.modified_ns, modified_ns) {
            true => Ok(()),
            false => Err(stamp_not_kept()),
        }
    }

    #[cfg(target_os = "linux")]
    fn lease(&self, file: &OwnedFd) -> io::Result<Lease> {
        lease::take(file)
    }

    #[cfg(target_os = "linux")]
    fn lease_holds(&self, file: &OwnedFd) -> io::Result<bool> {
        lease::holds(file)
    }

    #[cfg(target_os = "linux")]
    fn writer(&self, file: &Stat) -> Option<String> {
        lease::writer(file)
    }

    fn lock_dir(&self, dir: &OwnedFd) -> DirLock {
        match rustix::io::retry_on_intr(|| {
            fs::flock(dir, fs::FlockOperation::NonBlockingLockExclusive)
        }) {
            Ok(()) => DirLock::Held,
            Err(Errno::WOULDBLOCK) => DirLock::Busy,
            // NFS wants a descriptor that can write, others have no locks at all.
            Err(_) => DirLock::Unavailable,
        }
    }

    fn unlock_dir(&self, dir: &OwnedFd) {
        // Closing it would do the same, later.
        let _ = fs::flock(dir, fs::FlockOperation::Unlock);
    }

    fn sync_file(&self, file: &OwnedFd) -> io::Result<()> {
        sync(file)
    }

    fn sync_dir(&self, dir: &OwnedFd) -> io::Result<()> {
        sync(dir)
    }

    fn exchange(&self, dir: &OwnedFd, file: &[u8], slot: &[u8]) -> io::Result<()> {
        Ok(fs::renameat_with(dir, file, dir, slot, RenameFlags::EXCHANGE)?)
    }

    fn rename(&self, from: NameIn<'_, OwnedFd>, to: NameIn<'_, OwnedFd>) -> io::Result<()> {
        let moved = fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE);
        or_absent(moved, from.0, from.1)
    }

    fn rename_replacing(
        &self,
        from: NameIn<'_, OwnedFd>,
        to: NameIn<'_, OwnedFd>,
    ) -> io::Result<()> {
        Ok(fs::renameat(from.0, from.1, to.0, to.1)?)
    }

    fn link(&self, from: NameIn<'_, OwnedFd>, to: NameIn<'_, OwnedFd>) -> io::Result<()> {
        Ok(fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?)
    }

    fn remove_file(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
        or_absent(fs::unlinkat(dir, name, AtFlags::empty()), dir, name)
    }

    fn create_dir(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
        // The process's umask narrows this, as it does for the user's own mkdir.
        Ok(fs::mkdirat(dir, name, Mode::from_bits_retain(0o777))?)
    }

    fn set_dir_mode(&self, dir: &OwnedFd, name: &[u8], mode: u32) -> io::Result<()> {
        let made = fs::openat(dir, name, DIR_FLAGS | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(fs::fchmod(made, mode_bits(mode))?)
    }

    fn remove_dir(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
        match fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            // A mount point, or a name in a directory that only others may change. It stays like a
            // directory that holds something, or a set that emptied it could never end.
            Err(Errno::BUSY | Errno::ACCESS | Errno::PERM) => {
                Err(io::ErrorKind::DirectoryNotEmpty.into())
            }
            answer => or_absent(answer, dir, name),
        }
    }
}

/// The answer of a call that moves or removes a name. A read-only file system refuses it before it
/// looks for the name; a name that does not exist is reported as such, since nothing is left to undo.
fn or_absent(answer: Result<(), Errno>, dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let is_absent = || {
        let found = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        matches!(found, Err(Errno::NOENT))
    };
    match answer {
        Err(Errno::ROFS) if is_absent() => Err(Errno::NOENT.into()),
        answer => Ok(answer?),
    }
}

/// Both times, since file systems over libfuse 2 ignore a call that sets one alone.
fn timestamps(modified_ns: i64) -> fs::Timestamps {
    const NS: i64 = 1_000_000_000;
    let modified =
        fs::Timespec { tv_sec: modified_ns.div_euclid(NS), tv_nsec: modified_ns.rem_euclid(NS) };
    fs::Timestamps { last_access: modified, last_modification: modified }
}

/// A file that does not keep the time cannot be told from a user's with the same content.
fn stamp_not_kept() -> io::Error {
    let what = "the file system does not keep times of modification";
    io::Error::new(io::ErrorKind::Unsupported, what)
}

#[cfg(not(target_vendor = "apple"))]
fn sync(file: &OwnedFd) -> io::Result<()> {
    Ok(fs::fsync(file)?)
}

/// A plain fsync on macOS may leave the drive's cache unordered (fcntl(2)).
#[cfg(target_vendor = "apple")]
fn sync(file: &OwnedFd) -> io::Result<()> {
    Ok(fs::fcntl_fullfsync(file)?)
}

fn kind_from(file_type: fs::FileType) -> FileKind {
    match file_type {
        fs::FileType::RegularFile => FileKind::Regular,
        fs::FileType::Directory => FileKind::Directory,
        fs::FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
fn stat_from(stat: &fs::Stat) -> Stat {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000) + rest;
    Stat {
        kind: kind_from(fs::FileType::from_raw_mode(stat.st_mode)),
        mode: stat.st_mode as u32 & 0o7777,
        bytes: stat.st_size as u64,
        uid: stat.st_uid,
        gid: stat.st_gid,
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        links: stat.st_nlink as u64,
        modified_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}
