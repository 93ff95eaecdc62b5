//! Carrying a file's inode flags over to the slot that will take its place; ioctl_iflags(2).

use std::io;
use std::os::fd::OwnedFd;

/// The flags of chattr(1) that a file system may let a file's owner set, and that say how the
/// file is kept rather than what it is.
const CARRIED: u32 = {
    use rustix::fs::IFlags;
    const NO_COMPRESSION: u32 = 0x0000_0400;
    const DIRECT_ACCESS: u32 = 0x0200_0000;
    IFlags::SECURE_REMOVAL.bits()
        | IFlags::UNRM.bits()
        | IFlags::COMPRESSED.bits()
        | IFlags::SYNC.bits()
        | IFlags::NODUMP.bits()
        | IFlags::NOATIME.bits()
        | IFlags::JOURNALING.bits()
        | IFlags::NOTAIL.bits()
        | IFlags::NOCOW.bits()
        | NO_COMPRESSION
        | DIRECT_ACCESS
};

/// Gives an empty file the flags of another one: some, as btrfs's `C`, are taken by an empty
/// file only. What the file system or the process's rights do not allow is left out, as
/// `cp --archive` does.
///
/// # Errors
/// `PermissionDenied` for a file that is immutable or can only be appended to.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    // FUSE, NFS and others have none.
    let Ok(old) = ioctl_getflags(from) else { return Ok(()) };
    if old.intersects(IFlags::IMMUTABLE | IFlags::APPEND) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let Ok(new) = ioctl_getflags(to) else { return Ok(()) };
    let carried = IFlags::from_bits_retain(CARRIED);
    let wanted = new.difference(carried) | old.intersection(carried);
    if wanted == new || ioctl_setflags(to, wanted).is_ok() {
        return Ok(());
    }
    // One of them is not allowed, so the others are tried each by itself.
    let mut now = new;
    for bit in (0..u32::BITS).map(|shift| IFlags::from_bits_retain(1 << shift)) {
        let differs = wanted.intersects(bit) != now.intersects(bit);
        if differs && ioctl_setflags(to, now.symmetric_difference(bit)).is_ok() {
            now = now.symmetric_difference(bit);
        }
    }
    tracing::debug!(?wanted, kept = ?now, "not all inode flags can be set");
    Ok(())
}
