//! Notices what the user changes in a workspace while a command runs in a view of it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::paths::as_path;
use crate::rules::{Private, Rules};
use crate::snapshot::Snapshot;
use crate::stat::Kind;
use crate::walk::{Visit, walk};

/// More changed paths than this are not remembered.
const CHANGED_MAX: usize = 10_000;

/// A watch on the directories of a workspace, but for those that are private: inotify(7).
///
/// It reports paths that may have changed, and can miss some: a directory that is made and filled at
/// once, or more changes than the kernel keeps. Nothing may be concluded from a path that is missing.
pub struct Watch {
    inotify: OwnedFd,
    root: PathBuf,
    private: Private<'static>,
    /// The directory of each watch, below the root.
    directories: BTreeMap<i32, Vec<u8>>,
    changed: BTreeSet<Vec<u8>>,
    is_complete: bool,
}

impl Watch {
    /// Watches the directories that a snapshot has, and those that are made in them later.
    ///
    /// # Errors
    /// The user has too many such watchers.
    pub(crate) fn start(root: &Path, seen: &Snapshot, rules: Rules) -> std::io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let mut watch = Self {
            inotify,
            root: root.to_owned(),
            private: Private::new(rules),
            directories: BTreeMap::new(),
            changed: BTreeSet::new(),
            is_complete: true,
        };
        watch.add(Vec::new());
        let directories = seen.iter().filter(|(_, stat)| stat.kind == Kind::Directory);
        for (path, _) in directories {
            watch.add(path.to_vec());
        }
        Ok(watch)
    }

    /// Whether every directory is watched. The system limits their number:
    /// `fs.inotify.max_user_watches`.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Reads what the system has reported, without waiting; returns whether there was anything.
    pub fn read(&mut self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut events = Vec::new();
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        // An error says that there is nothing more to read.
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| name.to_bytes().to_vec());
            events.push((event.wd(), event.events(), name));
        }
        let is_any = !events.is_empty();
        for (number, kinds, name) in events {
            self.take(number, kinds, name);
        }
        is_any
    }

    /// The paths that may have changed since the last call, without private ones.
    pub fn changed(&mut self) -> BTreeSet<Vec<u8>> {
        std::mem::take(&mut self.changed)
    }

    fn take(&mut self, number: i32, kinds: ReadFlags, name: Option<Vec<u8>>) {
        if kinds.contains(ReadFlags::IGNORED) {
            self.directories.remove(&number);
            return;
        }
        let Some(path) = self.directories.get(&number) else { return };
        let path = match name {
            Some(name) if path.is_empty() => name,
            Some(name) => [path, &b"/"[..], &name].concat(),
            None => path.clone(),
        };
        let is_directory = kinds.contains(ReadFlags::ISDIR);
        let kind = if is_directory { Kind::Directory } else { Kind::File };
        if path.is_empty() || self.private.is_left_out(&path, kind) {
            return;
        }
        if is_directory && kinds.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            self.enter(&path);
        }
        self.add_changed(path);
    }

    /// Watches a directory that has come, and takes what is in it for changed.
    fn enter(&mut self, directory: &[u8]) {
        self.add(directory.to_vec());
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let root = self.root.join(as_path(directory));
        let Ok(root) = rustix::fs::open(&root, flags, rustix::fs::Mode::empty()) else { return };
        let mut found = Vec::new();
        let mut visit = |reached: crate::walk::Reached<'_>| {
            let path = [directory, b"/", reached.path].concat();
            if self.private.is_left_out(&path, reached.kind) {
                return Ok(Visit::Skip);
            }
            found.push((path, reached.kind));
            Ok(if found.len() < CHANGED_MAX { Visit::Enter } else { Visit::Skip })
        };
        // What cannot be read is not watched, and its changes are not noticed.
        let _ = walk(root.as_fd(), &mut visit, &mut |_| {});
        for (path, kind) in found {
            if kind == Kind::Directory {
                self.add(path.clone());
            }
            self.add_changed(path);
        }
    }

    fn add(&mut self, directory: Vec<u8>) {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW
            | WatchFlags::EXCL_UNLINK;
        match inotify::add_watch(&self.inotify, self.root.join(as_path(&directory)), flags) {
            Ok(number) => drop(self.directories.insert(number, directory)),
            Err(Errno::NOSPC | Errno::NOMEM) => self.is_complete = false,
            // It is gone, or may not be read.
            Err(_) => {}
        }
    }

    fn add_changed(&mut self, path: Vec<u8>) {
        if self.changed.len() < CHANGED_MAX {
            self.changed.insert(path);
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
