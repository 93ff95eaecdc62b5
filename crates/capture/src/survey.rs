//! Walks a workspace before a run.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::time::ClockId;

use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, TICK_NANOS, Timestamp};
use crate::walk::{self, Extra, Visit};

/// A snapshot, and what was noticed on the way.
#[derive(Debug)]
pub struct Survey {
    /// The entries.
    pub snapshot: Snapshot,
    /// Entries that belong to another user or group than this process: in a view of the workspace
    /// they can be read but not written. The first is `.` if the root is one. Root has none.
    pub foreign: Vec<Box<[u8]>>,
    /// Directories that may not be read: what is in them was not seen.
    pub unreadable: Vec<Box<[u8]>>,
    /// The entries named `.git` that were met, ignored ones too.
    pub dot_git: Vec<Box<[u8]>>,
}

/// Walks the workspace whose root is `root`. What `ignored` accepts is left out, together with
/// everything below it.
///
/// # Errors
///
/// Any error of reading a directory or an entry, except that it vanished meanwhile or that the
/// directory may not be read.
pub fn survey(
    root: BorrowedFd<'_>,
    ignored: &mut dyn FnMut(&[u8], Kind) -> bool,
) -> io::Result<Survey> {
    let mut begun = now();
    let Some((_, owner)) = walk::stat(root, c".")? else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let is_foreign = |entry: &Extra| {
        !user.is_root() && (entry.user, entry.group) != (user.as_raw(), group.as_raw())
    };
    let mut entries = Vec::new();
    let (mut foreign, mut unreadable, mut dot_git) = (Vec::new(), Vec::new(), Vec::new());
    if is_foreign(&owner) {
        foreign.push(Box::from(&b"."[..]));
    }
    walk::walk(
        root,
        &mut |reached| {
            if reached.name == c".git" {
                dot_git.push(reached.path.into());
            }
            if ignored(reached.path, reached.kind) {
                return Ok(Visit::Skip);
            }
            let Some((stat, extra)) = walk::stat(reached.parent, reached.name)? else {
                return Ok(Visit::Skip);
            };
            if is_foreign(&extra) {
                foreign.push(reached.path.into());
            }
            entries.push((Box::from(reached.path), stat));
            Ok(Visit::Enter)
        },
        &mut |path| unreadable.push(path.into()),
    )?;
    // What changed just before it was read may change again without a trace: once the clock has
    // ticked on, it is read again.
    let is_recent = |stat: &Stat| stat.changed.later_by(TICK_NANOS) >= begun;
    let recent: Vec<usize> = (0..entries.len()).filter(|at| is_recent(&entries[*at].1)).collect();
    if !recent.is_empty() {
        std::thread::sleep(Duration::from_nanos(u64::from(TICK_NANOS) * 2));
        begun = now();
        for at in recent {
            let (path, stat): &mut (Box<[u8]>, Stat) = &mut entries[at];
            if let Some(again) = walk::stat_beneath(root, path)? {
                *stat = again;
            }
        }
    }
    Ok(Survey { snapshot: Snapshot::new(begun, entries), foreign, unreadable, dot_git })
}

/// The present time by the clock that file systems use.
pub(crate) fn now() -> Timestamp {
    let now = rustix::time::clock_gettime(ClockId::Realtime);
    Timestamp { seconds: now.tv_sec, nanos: now.tv_nsec as u32 }
}
