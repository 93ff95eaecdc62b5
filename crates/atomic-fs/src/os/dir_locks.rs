//! Locks on the directories that a set touches, against other Greenroom states over the same tree.
//!
//! The workspace's lock lies in the state directory, so it orders the processes of one state. Two
//! states can be over one tree: a parent and a child workspace, a bind mount, another user, another
//! `--state-dir`. What all of them share is the directory itself, and `flock(2)` on its descriptor
//! needs no permission to write and ends with the process.
//!
//! # Limitations
//! Where the file system has no such locks (some network file systems) nothing is locked. At most
//! [`Disk::open_dirs_max`] directories are locked, the root always among them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::FsError;
use crate::os::dir_cache::DirCache;
use crate::os::disk::{DirLock, Disk};
use crate::rel_path::RelPath;

const PAUSE: Duration = Duration::from_millis(5);

/// Directories that no other state changes meanwhile; unlocked when dropped.
pub(crate) struct DirLocks<'a, D: Disk> {
    disk: &'a D,
    locked: Vec<Arc<D::Dir>>,
}

impl<D: Disk> Drop for DirLocks<'_, D> {
    fn drop(&mut self) {
        for dir in &self.locked {
            self.disk.unlock_dir(dir);
        }
    }
}

/// Locks the directories that these paths lie in, or the nearest ones above that are there.
///
/// Nothing is waited for while anything is locked, so that two states never wait for each other.
///
/// # Errors
/// [`FsError::InUse`] when another state keeps one of them locked.
pub(crate) fn take<'a, 'p, D: Disk>(
    cache: &DirCache<'a, D>,
    paths: impl Iterator<Item = &'p RelPath>,
) -> Result<DirLocks<'a, D>, FsError> {
    let mut dirs: BTreeSet<Option<RelPath>> = paths.map(RelPath::parent).collect();
    dirs.insert(None);
    let mut opened: Vec<(Option<RelPath>, Arc<D::Dir>)> = Vec::new();
    for dir in dirs {
        // The step that uses the path reports what is wrong with it.
        let Ok((nearest, handle)) = cache.nearest_dir(dir) else { continue };
        if opened.iter().all(|(dir, _)| *dir != nearest) {
            opened.push((nearest, handle));
        }
        if opened.len() >= cache.disk.open_dirs_max() {
            break;
        }
    }
    let deadline = Instant::now() + cache.disk.dir_lock_wait();
    loop {
        match try_all(cache, &opened) {
            Ok(locks) => return Ok(locks),
            Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Err(path) => return Err(FsError::InUse { path }),
        }
    }
}

/// All of them, or the first one that somebody else has locked.
fn try_all<'a, D: Disk>(
    cache: &DirCache<'a, D>,
    opened: &[(Option<RelPath>, Arc<D::Dir>)],
) -> Result<DirLocks<'a, D>, Option<RelPath>> {
    let disk = cache.disk;
    let mut locks = DirLocks { disk, locked: Vec::with_capacity(opened.len()) };
    for (path, dir) in opened {
        match disk.lock_dir(dir) {
            DirLock::Held => locks.locked.push(dir.clone()),
            DirLock::Unavailable => {}
            // One directory by two paths of this set.
            DirLock::Busy if locks.locked.iter().any(|locked| is_same(disk, locked, dir)) => {}
            DirLock::Busy => return Err(path.clone()),
        }
    }
    Ok(locks)
}

fn is_same<D: Disk>(disk: &D, one: &D::Dir, other: &D::Dir) -> bool {
    let identity = |dir: &D::Dir| disk.stat(dir, b".").ok().map(|stat| stat.identity());
    let one = identity(one);
    one.is_some() && one == identity(other)
}
