//! Walks a workspace before a run.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::ClockId;

use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, TICK_NANOS, Timestamp};
use crate::walk::{self, Extra, Reached, Visit, directory_beneath};

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
    let (mut foreign, mut unreadable, mut dot_git) = (Vec::new(), Vec::new(), Vec::new());
    if is_foreign(&owner) {
        foreign.push(Box::from(&b"."[..]));
    }
    let read = read_all(
        root,
        &mut |reached| {
            if reached.name == c".git" {
                dot_git.push(reached.path.into());
            }
            if ignored(reached.path, reached.kind) { Visit::Skip } else { Visit::Enter }
        },
        &mut |path| unreadable.push(path.into()),
    )?;
    let mut entries = Vec::with_capacity(read.len());
    for (path, stat, extra) in read {
        if is_foreign(&extra) {
            foreign.push(path.clone());
        }
        entries.push((path, stat));
    }
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

type Read = (Box<[u8]>, Stat, Extra);

/// Walks a tree and reads what `visit` enters. The stats are read on a thread of their own, which takes as
/// long as reading the directories.
fn read_all(
    root: BorrowedFd<'_>,
    visit: &mut dyn FnMut(&Reached<'_>) -> Visit,
    unreadable: &mut dyn FnMut(&[u8]),
) -> io::Result<Vec<Read>> {
    std::thread::scope(|scope| {
        let (found, paths) = mpsc::sync_channel::<Vec<Box<[u8]>>>(BATCHES_WAITING);
        let stats = scope.spawn(move || read_stats(root, &paths));
        let mut batch = Vec::with_capacity(BATCH);
        let walked = walk::walk(
            root,
            &mut |reached| {
                let visited = visit(&reached);
                if visited == Visit::Enter {
                    batch.push(reached.path.into());
                }
                if batch.len() == BATCH {
                    let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                    // The thread has ended with an error.
                    found.send(full).map_err(io::Error::other)?;
                }
                Ok(visited)
            },
            unreadable,
        );
        let is_sent = found.send(batch);
        drop(found);
        let read = stats.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        walked?;
        is_sent.map_err(io::Error::other)?;
        Ok(read)
    })
}

/// How many paths are handed over at once, and how many such batches may wait.
const BATCH: usize = 512;
const BATCHES_WAITING: usize = 64;

/// Reads the stats of paths, of which those in one directory follow each other. What has vanished is left
/// out.
fn read_stats(root: BorrowedFd<'_>, paths: &Receiver<Vec<Box<[u8]>>>) -> io::Result<Vec<Read>> {
    let mut read = Vec::new();
    let mut directory = None;
    for path in paths.iter().flatten() {
        let at = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = at.map_or((&b"."[..], &*path), |at| (&path[..at], &path[at + 1..]));
        let opened = match directory.take().filter(|(of, _): &(Box<[u8]>, _)| **of == *parent) {
            Some((_, opened)) => opened,
            None => match directory_beneath(root, parent) {
                Ok(opened) => Some(opened),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
                Err(error) => return Err(error.into()),
            },
        };
        let found = match &opened {
            Some(opened) => walk::stat(opened.as_fd(), &CString::new(name)?)?,
            None => None,
        };
        directory = Some((parent.into(), opened));
        read.extend(found.map(|(stat, extra)| (path, stat, extra)));
    }
    Ok(read)
}

/// The present time by the clock that file systems use.
pub(crate) fn now() -> Timestamp {
    let now = rustix::time::clock_gettime(ClockId::Realtime);
    Timestamp { seconds: now.tv_sec, nanos: now.tv_nsec as u32 }
}
