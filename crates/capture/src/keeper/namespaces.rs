//! Makes the namespaces of a view, and maps users and groups to themselves.
//!
//! A user is mapped to itself, never to root: the command then loses every capability when it
//! starts, and cannot take the mounts of the view away.

use std::fs;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Gid, Uid};
use rustix::thread::UnshareFlags;

use crate::plan::Network;

/// Makes a user namespace and a mount namespace, and a network namespace unless the network is
/// shared, and moves this process into them.
pub(super) fn unshare(network: Network) -> io::Result<()> {
    let mut flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
    if network == Network::Loopback {
        flags |= UnshareFlags::NEWNET;
    }
    // SAFETY: the descriptors stay shared, which is what the call would be unsafe for.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Turns on the loopback interface of this process's own network namespace: netdevice(7).
pub(super) fn turn_on_loopback() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: the structure is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the kernel reads one `ifreq`, which lives until the call returns.
    let done =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Who this process is, as long as its ids are mapped.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    user: Uid,
    group: Gid,
}

impl Owner {
    /// Asks before the process has a user namespace of its own, in which it is nobody at first.
    pub(super) fn current() -> Self {
        Self { user: rustix::process::geteuid(), group: rustix::process::getegid() }
    }

    pub(super) fn is_root(self) -> bool {
        self.user.is_root()
    }
}

/// Maps the owner of this process to itself, as it may do without privileges.
pub(super) fn map_self(owner: Owner) -> io::Result<()> {
    let (user, group) = (owner.user.as_raw(), owner.group.as_raw());
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("{user} {user} 1"))?;
    write("/proc/self/gid_map", &format!("{group} {group} 1"))
}

/// Maps every user and group that this process knows to itself, in the namespace of `process`,
/// which was made in this one. Only root may do that.
pub(crate) fn map_all(process: u32) -> io::Result<()> {
    for map in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(format!("/proc/self/{map}"))?;
        write(&format!("/proc/{process}/{map}"), &identity(&own))?;
    }
    Ok(())
}

/// What maps each of the ids in a map to itself, one namespace deeper.
fn identity(map: &str) -> String {
    let rows = map.lines().filter_map(|row| {
        let mut fields = row.split_whitespace();
        let (first, count) = (fields.next()?, fields.nth(1)?);
        Some(format!("{first} {first} {count}\n"))
    });
    rows.collect()
}

/// Writes to a file of `/proc`, which takes all of it in one call.
fn write(path: &str, text: &str) -> io::Result<()> {
    let file = rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_continued_one_namespace_deeper() {
        let outermost = "         0          0 4294967295\n";
        assert_eq!(identity(outermost), "0 0 4294967295\n");
        let container = "0 100000 1000\n1000 1000 1\n";
        assert_eq!(identity(container), "0 0 1000\n1000 1000 1\n");
    }
}
