//! Read leases: who writes to a file must wait until it is swapped.

use std::io;
use std::os::fd::OwnedFd;

use crate::os::disk::{Lease, Stat};

/// fcntl(2); the libc crate leaves it out.
const F_SETSIG: libc::c_int = 10;

/// Milliseconds to wait between tries. A save that is just ending, or a process that
/// was forked and has not replaced itself yet, is gone by then; an editor that keeps the
/// file open is not.
const WAITS_MS: [u64; 6] = [1, 2, 4, 8, 16, 32];

pub(super) fn take(file: &OwnedFd) -> io::Result<Lease> {
    for wait_ms in WAITS_MS {
        match try_take(file) {
            Lease::Busy => std::thread::sleep(std::time::Duration::from_millis(wait_ms)),
            answer => return Ok(answer),
        }
    }
    Ok(try_take(file))
}

fn try_take(file: &OwnedFd) -> Lease {
    use std::os::fd::AsRawFd as _;
    let fd = file.as_raw_fd();
    // A broken lease raises SIGIO by default, which ends the process. SIGURG is ignored
    // unless somebody handles it; `holds` is how a break is noticed.
    // SAFETY: `fd` is open for as long as `file` is borrowed, and both commands take an
    // integer.
    let answer = unsafe {
        match libc::fcntl(fd, F_SETSIG, libc::SIGURG) {
            -1 => -1,
            _ => libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK),
        }
    };
    if answer != -1 {
        return Lease::Held;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Lease::Busy,
        // Another user's file, a file system without leases, a sandbox that filters them:
        // what came out of the swap is then read again instead.
        _ => Lease::Unavailable,
    }
}

pub(super) fn holds(file: &OwnedFd) -> io::Result<bool> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: as above; the command takes no argument.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) } {
        -1 => Err(io::Error::last_os_error()),
        lease => Ok(lease == libc::F_RDLCK),
    }
}

/// Looks through `/proc` for a descriptor of the file that can write.
pub(super) fn writer(file: &Stat) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let Ok(metadata) = std::fs::metadata(descriptor.path()) else { continue };
            if (metadata.dev(), metadata.ino()) != (file.device, file.inode) {
                continue;
            }
            let info = process.path().join("fdinfo").join(descriptor.file_name());
            if std::fs::read_to_string(info).is_ok_and(|info| can_write(&info)) {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("{} (process {pid})", name.trim_end()));
            }
        }
    }
    None
}

/// Reads the `flags:` line of fdinfo, open(2)'s flags in octal.
fn can_write(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}
