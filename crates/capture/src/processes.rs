//! Finds the processes that live in a view, by what `/proc` shows of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use crate::plan::Confined;

/// Which view it is: what another process needs to find or to join it. Plain data, to be kept
/// in a file; valid until the machine is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process that keeps the view.
    pub keeper: u32,
    /// The inode number of the user namespace. The kernel gives it out again after the view.
    pub user_namespace: u64,
    /// The inode number of the mount namespace. The kernel gives it out again after the view.
    pub mount_namespace: u64,
    /// How far the view is confined.
    #[serde(default)]
    pub confined: Confined,
    /// Whether it was made for a command of an agent's tool.
    #[serde(default)]
    pub for_tool: bool,
    /// The number by which the processes of a command are found that works in a copy, without
    /// namespaces of its own: the value of [`MARK`] in their environment. None for a view.
    #[serde(default)]
    pub mark: Option<u64>,
}

/// The variable that marks the processes of a command that works in a copy.
pub const MARK: &str = "GREENROOM_COMMAND";

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// The name of its program, at most 15 bytes.
    pub name: String,
}

/// Finds every process that lives in the view `identity` or in a namespace that was made in it,
/// its keeper included. All of them can still write to the upper directory. Without a view it finds those
/// that have the mark, and what they have started.
///
/// It works from outside of the view, for the user who made it. A process that ended but was not
/// waited for is left out.
///
/// # Errors
///
/// Any error of listing `/proc`.
///
/// # Limitations
///
/// The kernel gives the numbers of namespaces out again: a long time after the view ended, a
/// process of another namespace can be taken for one of the view. So nothing may be killed by what
/// is found here. A process without a view that has taken the mark out of its environment is only found
/// while what started it lives.
pub fn survivors(identity: &Identity) -> io::Result<Vec<Process>> {
    let listed = list()?;
    let found: BTreeSet<u32> = match identity.mark {
        Some(mark) => {
            let marked = listed.keys().copied().filter(|id| has_mark(*id, mark)).collect();
            with_descendants(&listed, marked)
        }
        None => {
            let is_within = |id: &u32| is_within(*id, identity.user_namespace);
            listed.keys().copied().filter(is_within).collect()
        }
    };
    let alive = listed.into_iter().filter(|(id, listed)| found.contains(id) && !listed.ended);
    Ok(alive.map(|(_, listed)| listed.process).collect())
}

/// Whether a process was started with the mark; not if nothing may be known of it.
fn has_mark(process: u32, mark: u64) -> bool {
    let entry = format!("{MARK}={mark}");
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
}

/// Whether a process is about to be killed, as a keeper is whose parent has just ended. proc(5)
pub(crate) fn is_being_killed(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let pending = status.lines().filter_map(|line| {
        let (name, mask) = line.split_once(':')?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        matches!(name, "SigPnd" | "ShdPnd").then_some(mask)
    });
    pending.fold(0, |all, mask| all | mask) >> (libc::SIGKILL - 1) & 1 == 1
}

/// These processes, and all that they have started.
fn with_descendants(listed: &BTreeMap<u32, Listed>, first: Vec<u32>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut waiting = first;
    while let Some(parent) = waiting.pop() {
        if found.insert(parent) {
            let children = listed.iter().filter(|(_, child)| child.parent == parent);
            waiting.extend(children.map(|(id, _)| *id));
        }
    }
    found
}

/// Whether a process has not ended.
pub(crate) fn lives(process: &Process) -> bool {
    let stat = std::fs::read(format!("/proc/{}/stat", process.id)).unwrap_or_default();
    parse(process.id, &String::from_utf8_lossy(&stat)).is_some_and(|listed| !listed.ended)
}

/// The inode number of a namespace of a process: `user`, `mnt` or `net`.
pub(crate) fn namespace(process: &str, kind: &str) -> io::Result<u64> {
    Ok(std::fs::metadata(format!("/proc/{process}/ns/{kind}"))?.ino())
}

/// Whether a process is in the user namespace with this number, or in one that was made in it. A
/// process of another user, or outside of what this one may look at, is not.
fn is_within(process: u32, user_namespace: u64) -> bool {
    let mut current = File::open(format!("/proc/{process}/ns/user"));
    while let Ok(file) = current {
        match file.metadata() {
            Ok(metadata) if metadata.ino() == user_namespace => return true,
            Ok(_) => current = parent(&file),
            Err(_) => return false,
        }
    }
    false
}

/// The user namespace in which another one was made.
fn parent(namespace: &File) -> io::Result<File> {
    const NS_GET_PARENT: libc::Ioctl = 0xb702;
    // SAFETY: this request takes no argument and returns a new descriptor; rustix has no call
    // for it. ioctl_nsfs(2)
    let descriptor = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// Ends every descendant of this process, and returns which there were: each gets `SIGTERM`, and `SIGKILL`
/// when `grace` is over. For a process whose keeper was killed, and that is the parent of what was orphaned
/// then: see [`Foreground::take`](crate::Foreground::take).
///
/// # Errors
///
/// Any error of listing `/proc`.
pub fn end_descendants(grace: Duration) -> io::Result<Vec<Process>> {
    let first = descendants()?;
    let deadline = Instant::now().checked_add(grace);
    let mut asked: BTreeSet<u32> = BTreeSet::new();
    loop {
        let left = descendants()?;
        if left.is_empty() {
            return Ok(first);
        }
        let is_patient = deadline.is_none_or(|deadline| Instant::now() < deadline);
        for process in &left {
            let number = if is_patient { Signal::TERM } else { Signal::KILL };
            if asked.insert(process.id) || !is_patient {
                signal(process, number);
            }
        }
        // The end of a grandchild wakes nobody.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Finds the descendants of this process that have not ended.
pub(crate) fn descendants() -> io::Result<Vec<Process>> {
    let listed = list()?;
    let own = std::process::id();
    let found = with_descendants(&listed, vec![own]);
    let alive = found.into_iter().filter_map(|id| listed.get(&id).filter(|_| id != own));
    Ok(alive.filter(|listed| !listed.ended).map(|listed| listed.process.clone()).collect())
}

/// Sends a signal to a descendant of this process: an id that was given out again meanwhile is not hit.
pub(crate) fn signal(process: &Process, signal: Signal) {
    let id = i32::try_from(process.id).ok().and_then(Pid::from_raw);
    let handle = id.and_then(|id| rustix::process::pidfd_open(id, PidfdFlags::empty()).ok());
    // While the handle is open, the id is either this process's or nobody's. Its name proves nothing: a
    // process can change its own.
    let is_ours = || descendants().is_ok_and(|found| found.iter().any(|one| one.id == process.id));
    if let Some(handle) = handle.filter(|_| is_ours()) {
        let _ = rustix::process::pidfd_send_signal(handle, signal);
    }
}

struct Listed {
    process: Process,
    parent: u32,
    /// It ended, and its parent has not asked how.
    ended: bool,
}

fn list() -> io::Result<BTreeMap<u32, Listed>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end at any time.
        let stat = std::fs::read(format!("/proc/{id}/stat")).unwrap_or_default();
        if let Some(listed) = parse(id, &String::from_utf8_lossy(&stat)) {
            found.insert(id, listed);
        }
    }
    Ok(found)
}

/// Reads a line of `/proc/PID/stat`, in which the name may hold blanks and parentheses.
fn parse(id: u32, stat: &str) -> Option<Listed> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?;
    Some(Listed {
        process: Process { id, name: name.to_owned() },
        parent: fields.next()?.parse().ok()?,
        ended: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_read_whole() {
        let listed = parse(7, "7 (a) S 1 (b)) S 3 7 7 0").expect("it is a line of the kernel's");
        assert_eq!((listed.process.name.as_str(), listed.parent), ("a) S 1 (b)", 3));
        assert!(parse(7, "").is_none());
    }
}
