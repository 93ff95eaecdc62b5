//! Opening what lies below a directory and on its mount, without following a symlink.
//!
//! openat2(2) does both in one call. Where it is missing (Linux before 5.6) or filtered
//! (seccomp of older container runtimes answers ENOSYS or EPERM), each part is opened by
//! itself and its mount compared with the directory's. The device's number does not tell: a
//! bind mount of the same file system has the same one.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::rel_path::RelPath;

pub(super) const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

const READ_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Opens a directory below `root`.
pub(super) fn dir_beneath(
    root: &OwnedFd,
    path: Option<&RelPath>,
    cross_mounts: bool,
) -> io::Result<OwnedFd> {
    let Some(path) = path else {
        return Ok(rustix::io::fcntl_dupfd_cloexec(root, 0)?);
    };
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let mut resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        if !cross_mounts {
            resolve |= ResolveFlags::NO_XDEV;
        }
        if let Some(answer) = in_one_call(root, path.as_bytes(), DIR_FLAGS, resolve) {
            return Ok(answer?);
        }
    }
    dir_step_by_step(root, path, cross_mounts)
}

/// Opens a file in a directory for reading.
///
/// # Errors
/// `CrossesDevices` for a file that is a mount point itself, whatever is allowed: such a name
/// cannot be exchanged, and its mode is that of a file elsewhere.
pub(super) fn file(dir: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve =
            ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        if let Some(answer) = in_one_call(dir, name, READ_FLAGS, resolve) {
            return Ok(answer?);
        }
    }
    file_on_mount(dir, name)
}

/// `None` where the call is not to be had.
#[cfg(target_os = "linux")]
fn in_one_call(
    dir: &OwnedFd,
    path: &[u8],
    flags: OFlags,
    resolve: fs::ResolveFlags,
) -> Option<Result<OwnedFd, Errno>> {
    // A concurrent rename anywhere can make the kernel give up with EAGAIN.
    let mut tries_left = 64;
    loop {
        match fs::openat2(dir, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries_left > 0 => tries_left -= 1,
            Err(Errno::NOSYS | Errno::PERM) => return None,
            answer => return Some(answer),
        }
    }
}

fn dir_step_by_step(root: &OwnedFd, path: &RelPath, cross_mounts: bool) -> io::Result<OwnedFd> {
    let mut dir = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
    let mount = if cross_mounts { None } else { Some(mount_of(root)?) };
    for name in path.components() {
        dir = match fs::openat(&dir, name, DIR_FLAGS | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(next) => next,
            // Linux says ENOTDIR, the BSDs ELOOP or EMLINK, for a symlink here.
            Err(error) => {
                let is_link = fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| fs::FileType::from_raw_mode(stat.st_mode).is_symlink());
                return Err(if is_link { Errno::LOOP } else { error }.into());
            }
        };
        if mount.is_some() && mount != Some(mount_of(&dir)?) {
            return Err(Errno::XDEV.into());
        }
    }
    Ok(dir)
}

fn file_on_mount(dir: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let file = fs::openat(dir, name, READ_FLAGS, Mode::empty())?;
    if mount_of(&file)? != mount_of(dir)? {
        return Err(Errno::XDEV.into());
    }
    Ok(file)
}

/// The number of the mount that something was opened through.
#[cfg(target_os = "linux")]
fn mount_of(opened: &OwnedFd) -> io::Result<u64> {
    match fs::statx(opened, c"", AtFlags::EMPTY_PATH, fs::StatxFlags::MNT_ID) {
        Ok(stat) if stat.stx_mask & fs::StatxFlags::MNT_ID.bits() != 0 => Ok(stat.stx_mnt_id),
        _ => mount_by_proc(opened),
    }
}

/// The same for Linux before 5.8, and where statx(2) is filtered as well; proc(5).
#[cfg(target_os = "linux")]
fn mount_by_proc(opened: &OwnedFd) -> io::Result<u64> {
    use std::os::fd::AsRawFd as _;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", opened.as_raw_fd()));
    info.ok()
        .and_then(|info| {
            info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
        })
        .ok_or_else(|| {
            io::Error::other(
                "the system does not tell on which mount it lies: openat2 and statx are not \
                 available, and /proc is not mounted",
            )
        })
}

/// Elsewhere no mount shows the same device twice.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "differs by system")]
fn mount_of(opened: &OwnedFd) -> io::Result<u64> {
    Ok(fs::fstat(opened)?.st_dev as u64)
}
