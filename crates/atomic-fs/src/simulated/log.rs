//! What happened on a simulated disk, in the order in which it happened.

use std::sync::Arc;

use super::effect::{Effect, Inode};
use super::image::{Image, Node};

/// Writes reach a device in pieces of this many bytes, each by itself.
pub(super) const CHUNK_BYTES: usize = 4096;

/// What was promised to somebody at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// The set is on disk, durably.
    Committed,
    /// Nothing has changed, and a power cut does not change that.
    Unchanged,
    /// Recovery decides.
    InDoubt,
}

/// A save that a user's editor reported as done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The path, from the top of the simulated disk.
    pub path: Vec<u8>,
    /// What was saved; `None` when the user removed the file.
    pub content: Option<Arc<[u8]>>,
    /// What the user saw at that path and overwrote knowingly.
    pub over: Option<Arc<[u8]>>,
    /// Whether the file was found by its path just now, rather than held open.
    pub by_path: bool,
    /// The permission bits that the user gave the file, where that is all they did.
    pub mode: Option<u32>,
    /// What the path named right before: content and permission bits.
    pub was: Option<(Arc<[u8]>, u32)>,
}

/// One line of a log.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Something changed. A user's own changes are durable at once: their editors sync.
    Changed {
        /// What.
        effect: Effect,
        /// Whether by a user.
        by_user: bool,
        /// For a name that goes in a rename between directories: the entry with the name
        /// that comes, without which it does not reach the disk.
        after: Option<usize>,
    },
    /// A file's sync returned.
    SyncedFile(Inode),
    /// A file's attributes became durable, its content not.
    SyncedAttributes(Inode),
    /// A directory's sync returned.
    SyncedDir(Inode),
    /// A file's sync failed: later ones of it say nothing about what came before.
    SyncFailed(Inode),
    /// A sync failed and the system threw the unsynced content away: the entries between
    /// this one and the file's last sync that concern its content never were.
    Dropped(Inode),
    /// Every sync that has returned so far counts from here on. Independent syncs and
    /// writes may overlap until one of them is needed by what comes next.
    Passed,
    /// An answer was given.
    Answered(Answer),
    /// It was reported that a user's bytes are kept in this file, by its path from the top of the
    /// simulated disk.
    Kept(Vec<u8>),
    /// A process of another state over the same tree has ended, with this answer if it gave one.
    OtherEnded(Option<Answer>),
    /// A user waits in open(2) for a lease to go, and then writes this.
    Waiting {
        /// The file, found when the user opened it.
        inode: Inode,
        /// The path it was opened by.
        path: Vec<u8>,
        /// What will be written.
        content: Arc<[u8]>,
        /// What the user saw when opening the file, and overwrites knowingly.
        over: Option<Arc<[u8]>>,
    },
    /// Those who waited for this file go on.
    WokeUp(Inode),
    /// The user removed or replaced a file that they also wait to write to: what they write
    /// then goes nowhere, by their own doing.
    Disowned(Inode),
    /// A user has moved a directory.
    Relocated,
    /// A user's save is complete.
    Saved(Saved),
}

/// Everything since a disk was made from an image.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// What was there at the start, durably.
    pub start: Image,
    /// Inodes that were made since, as they were made; they follow the start's.
    pub born: Vec<Arc<Node>>,
    /// What happened.
    pub entries: Vec<Entry>,
}

impl Log {
    pub(super) fn new(start: Image) -> Self {
        Self { start, born: Vec::new(), entries: Vec::new() }
    }

    /// An inode as it was at the start, or when it was made.
    pub(super) fn first_state(&self, inode: Inode) -> &Arc<Node> {
        match (inode as usize).checked_sub(self.start.inodes()) {
            Some(born) => &self.born[born],
            None => self.start.shared(inode),
        }
    }

    /// The start with all inodes that exist by the end, most of them nameless.
    pub(super) fn untouched(&self) -> Image {
        let mut image = self.start.clone();
        for node in &self.born {
            image.push(node.clone());
        }
        image
    }

    /// A path that an inode had at some time, for people.
    pub fn path_of(&self, inode: Inode) -> String {
        let mut image = self.untouched();
        for entry in &self.entries {
            let path = image.path_of(inode);
            if !path.starts_with('(') {
                return path;
            }
            if let Entry::Changed { effect, .. } = entry {
                image.apply(effect);
            }
        }
        image.path_of(inode)
    }

    /// Whether an entry was thrown away by a failed sync before `end`.
    pub(super) fn dropped(&self, end: usize) -> Vec<bool> {
        let mut dropped = vec![false; end];
        for (at, entry) in self.entries[..end].iter().enumerate() {
            let Entry::Dropped(inode) = entry else { continue };
            for before in (0..at).rev() {
                match &self.entries[before] {
                    Entry::SyncedFile(synced) if synced == inode => break,
                    Entry::Changed { effect, by_user: false, .. }
                        if effect.inode() == Some(*inode) && effect.is_content() =>
                    {
                        dropped[before] = true;
                    }
                    _ => {}
                }
            }
        }
        dropped
    }
}

/// A save that waits for a lease: the file, and what will have been saved.
pub(super) type Waiter = (Inode, Saved);

impl Log {
    /// What who waits for a lease before entry `end` will have saved once it is gone.
    pub fn saves_waiting(&self, end: usize) -> Vec<Saved> {
        self.waiting(end).into_iter().map(|(_, saved)| saved).collect()
    }

    /// Who still waits for a lease before entry `end`.
    pub(super) fn waiting(&self, end: usize) -> Vec<Waiter> {
        let mut waiting: Vec<Waiter> = Vec::new();
        for entry in &self.entries[..end] {
            match entry {
                Entry::Waiting { inode, path, content, over } => {
                    let (path, content) = (path.clone(), Some(content.clone()));
                    // Who waits behind another overwrites what that one wrote.
                    let first = waiting.iter().rev().find(|(other, _)| other == inode);
                    let over =
                        first.map_or_else(|| over.clone(), |(_, saved)| saved.content.clone());
                    let saved = Saved { path, content, over, by_path: true, ..Saved::default() };
                    waiting.push((*inode, saved));
                }
                Entry::WokeUp(gone) | Entry::Disowned(gone) => {
                    waiting.retain(|(inode, _)| inode != gone);
                }
                _ => {}
            }
        }
        waiting
    }
}
