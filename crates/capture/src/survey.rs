//! Walks a workspace before a run.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::thread;
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
        thread::sleep(Duration::from_nanos(u64::from(TICK_NANOS) * 2));
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

/// How many paths are handed over at once, and how many such batches may wait.
const BATCH: usize = 512;
const BATCHES_WAITING: usize = 64;

/// More threads than this wait for each other in the kernel.
const THREADS_MAX: usize = 8;

/// Walks a tree and reads what `visit` enters, in the order of the paths. Reading the stats takes longer
/// than reading the directories: other threads begin with it, and this one helps when it has walked.
fn read_all(
    root: BorrowedFd<'_>,
    visit: &mut dyn FnMut(&Reached<'_>) -> Visit,
    unreadable: &mut dyn FnMut(&[u8]),
) -> io::Result<Vec<Read>> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(THREADS_MAX));
    let (found, paths) = mpsc::sync_channel::<Vec<Box<[u8]>>>(BATCHES_WAITING);
    let paths = Mutex::new(paths);
    thread::scope(|scope| {
        // Where the system gives no thread, this one does all of it.
        let helper = || {
            thread::Builder::new().spawn_scoped(scope, || Reader::new(root).read_batches(&paths))
        };
        let helpers: Vec<_> = (1..threads.max(2)).map_while(|_| helper().ok()).collect();
        let mut own = Reader::new(root);
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
                    match found.try_send(full) {
                        Ok(()) => {}
                        // The helpers have enough to do, or all of them have ended with an error.
                        Err(TrySendError::Full(full) | TrySendError::Disconnected(full)) => {
                            own.read_batch(full)?;
                        }
                    }
                }
                Ok(visited)
            },
            unreadable,
        );
        drop(found);
        // The helpers end now that no path follows, also after a walk that has failed.
        let mut sorted = vec![
            walked.and_then(|()| own.read_batch(batch)).and_then(|()| own.read_batches(&paths)),
        ];
        sorted.extend(
            helpers.into_iter().map(|helper| {
                helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        );
        let mut read = Vec::new();
        for part in sorted {
            read.append(&mut part?);
        }
        // A merge, as each part is sorted.
        read.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        Ok(read)
    })
}

/// Reads the stats of paths, of which those in one directory follow each other. What has vanished is left
/// out.
struct Reader<'r> {
    root: BorrowedFd<'r>,
    /// The last one, and none where it could not be opened.
    directory: Option<(Box<[u8]>, Option<OwnedFd>)>,
    read: Vec<Read>,
}

impl<'r> Reader<'r> {
    fn new(root: BorrowedFd<'r>) -> Self {
        Self { root, directory: None, read: Vec::new() }
    }

    /// Reads what comes until there is no more; all of it, in the order of the paths.
    fn read_batches(mut self, paths: &Mutex<Receiver<Vec<Box<[u8]>>>>) -> io::Result<Vec<Read>> {
        // One helper waits for a batch, and the others for the lock.
        let next = || paths.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(batch) = next() {
            self.read_batch(batch)?;
        }
        self.read.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        Ok(self.read)
    }

    fn read_batch(&mut self, batch: Vec<Box<[u8]>>) -> io::Result<()> {
        for path in batch {
            let at = path.iter().rposition(|byte| *byte == b'/');
            let (parent, name) =
                at.map_or((&b"."[..], &*path), |at| (&path[..at], &path[at + 1..]));
            let opened = match &self.directory {
                Some((of, opened)) if **of == *parent => opened,
                _ => {
                    let opened = match directory_beneath(self.root, parent) {
                        Ok(opened) => Some(opened),
                        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
                        Err(error) => return Err(error.into()),
                    };
                    &self.directory.insert((parent.into(), opened)).1
                }
            };
            let Some(opened) = opened else { continue };
            let found = walk::stat(opened.as_fd(), &CString::new(name)?)?;
            self.read.extend(found.map(|(stat, extra)| (path, stat, extra)));
        }
        Ok(())
    }
}

/// The present time by the clock that file systems use.
pub(crate) fn now() -> Timestamp {
    let now = rustix::time::clock_gettime(ClockId::Realtime);
    Timestamp { seconds: now.tv_sec, nanos: now.tv_nsec as u32 }
}
