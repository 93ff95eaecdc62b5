//! Turns what an upper directory holds into changes of files, links and directories. Pure: nothing is
//! read here.

use std::collections::BTreeMap;

use crate::snapshot::Snapshot;
#[cfg(target_os = "linux")]
use crate::snapshot::below;
use crate::stat::{Kind, Stat};

/// An entry of an upper directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it stands for in the view.
    pub kind: EntryKind,
    /// What `statx` reports of it.
    pub stat: Stat,
}

/// What an entry of an upper directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File(Origin),
    /// Nothing is at this path in the view: a file or a whole directory was removed.
    Whiteout,
    /// A directory.
    Directory {
        /// Whether it hides the directory of the workspace, rather than being merged with it.
        opaque: bool,
    },
    /// A symbolic link.
    Symlink,
    /// A socket, a fifo or a device.
    Special,
    /// A directory whose mode keeps its owner from reading it, or whose path is too long.
    Unreadable,
}

/// Where a file of an upper directory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was copied from the workspace, at this path or before it was moved here. It may be
    /// unchanged: opening a file for writing copies it.
    Lower,
    /// It was made in the view.
    New,
    /// Its mode keeps its owner from asking.
    Unknown,
}

/// The change at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The upper directory holds a file.
    Written(Origin, Stat),
    /// The upper directory holds a symbolic link.
    Linked(Stat),
    /// The upper directory holds a new directory without a file.
    Made(Stat),
    /// The file, the link, or the directory that held no file, is not in the view.
    Removed,
}

/// Why an entry is no change that can be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProposed {
    /// A socket, a fifo or a device was made or removed.
    Special,
    /// The mode of a directory was changed.
    DirectoryMode,
    /// The directory cannot be read, so that nothing is known of what is in it.
    Unreadable,
}

/// All that an upper directory changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What was written, made or removed, by its path.
    pub entries: BTreeMap<Box<[u8]>, Change>,
    /// What cannot be proposed, by its path, and why.
    pub not_proposed: BTreeMap<Box<[u8]>, NotProposed>,
}

impl Changes {
    /// Works out the changes from the entries of an upper directory and from what the workspace
    /// was when the run began.
    ///
    /// A removed directory becomes the removal of each file, link and empty directory that was seen
    /// in it; so does one that a file or another directory has replaced.
    #[must_use]
    pub fn new(upper: &BTreeMap<Box<[u8]>, Entry>, seen: &Snapshot) -> Self {
        let mut changes = Self::default();
        for (path, entry) in upper {
            let before = seen.get(path).map(|stat| stat.kind);
            match entry.kind {
                EntryKind::File(origin) => {
                    changes.entries.insert(path.clone(), Change::Written(origin, entry.stat));
                }
                // An ignored file, or one that the user made after the start: the importer sees
                // whether it is there.
                EntryKind::Whiteout if before.is_none() => {
                    changes.entries.insert(path.clone(), Change::Removed);
                }
                EntryKind::Whiteout => changes.remove(path, seen),
                EntryKind::Symlink => {
                    changes.entries.insert(path.clone(), Change::Linked(entry.stat));
                }
                EntryKind::Special => {
                    changes.not_proposed.insert(path.clone(), NotProposed::Special);
                }
                EntryKind::Unreadable => {
                    changes.not_proposed.insert(path.clone(), NotProposed::Unreadable);
                }
                EntryKind::Directory { .. } => changes.directory(path, entry, upper, seen),
            }
            let replaces = match entry.kind {
                EntryKind::Directory { opaque } => opaque,
                EntryKind::Unreadable => false,
                _ => true,
            };
            if replaces {
                for (below, _) in seen.below(path).filter(|(below, _)| !upper.contains_key(*below))
                {
                    changes.remove(below, seen);
                }
            }
        }
        changes
    }

    /// Records directories that were in the view only because something in them was pending, and that are
    /// left without it: they are new and empty.
    #[cfg(target_os = "linux")]
    pub(crate) fn add_left<'p>(
        &mut self,
        implied: impl DoubleEndedIterator<Item = &'p [u8]>,
        upper: &BTreeMap<Box<[u8]>, Entry>,
        seen: &Snapshot,
    ) {
        // What is in a directory comes before it.
        for path in implied.rev() {
            let is_directory = |entry: &&Entry| matches!(entry.kind, EntryKind::Directory { .. });
            let Some(entry) = upper.get(path).filter(is_directory) else { continue };
            let is_there = |path: &[u8], is_directory: bool| match self.entries.get(path) {
                Some(change) => *change != Change::Removed,
                None => !is_directory,
            };
            let stays =
                seen.below(path).any(|(path, stat)| is_there(path, stat.kind == Kind::Directory));
            let is_new = || {
                upper.range::<Box<[u8]>, _>(below(path)).any(|(path, entry)| {
                    let kind = entry.kind;
                    kind != EntryKind::Whiteout
                        && is_there(path, matches!(kind, EntryKind::Directory { .. }))
                })
            };
            if !stays && !is_new() {
                self.entries.insert(path.into(), Change::Made(entry.stat));
            }
        }
    }

    /// Records a directory itself; what is in it has entries of its own.
    fn directory(
        &mut self,
        path: &[u8],
        entry: &Entry,
        upper: &BTreeMap<Box<[u8]>, Entry>,
        seen: &Snapshot,
    ) {
        match seen.get(path) {
            Some(before) if before.kind == Kind::Directory => {
                if before.mode != entry.stat.mode {
                    self.not_proposed.insert(path.into(), NotProposed::DirectoryMode);
                }
                return;
            }
            Some(_) => self.remove(path, seen),
            None => {}
        }
        if self.not_proposed.contains_key(path) {
            return;
        }
        let prefix = [path, b"/"].concat().into_boxed_slice();
        let next = upper.range(prefix.clone()..).next();
        if next.is_none_or(|(next, _)| !next.starts_with(&prefix)) {
            self.entries.insert(path.into(), Change::Made(entry.stat));
        }
    }

    /// Records that what was seen at a path is gone.
    fn remove(&mut self, path: &[u8], seen: &Snapshot) {
        match seen.get(path).map(|stat| stat.kind) {
            Some(Kind::Other) => {
                self.not_proposed.entry(path.into()).or_insert(NotProposed::Special);
            }
            // A directory goes with the last of its files and links.
            Some(Kind::Directory)
                if seen.below(path).any(|(_, below)| below.kind != Kind::Directory) => {}
            Some(Kind::File | Kind::Symlink | Kind::Directory) | None => {
                self.entries.entry(path.into()).or_insert(Change::Removed);
            }
        }
    }
}
