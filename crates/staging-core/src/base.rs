//! Fingerprint of the file the agent saw, and how to tell cheaply that it still
//! stands.

use atomic_fs::{Digest, Expected, Fingerprint, Stat};
use serde::Serialize;

use crate::patch::{EntryKind, SYMLINK_BITS, StagedContent, fingerprint};
use crate::time::Timestamp;

/// A file that changed less than this before it was looked at may change again
/// without its time stamps showing it: clocks of file systems tick coarsely.
const RACY_NS: i64 = 1_000_000_000;

/// The state of the file, symbolic link or directory that the agent saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Base {
    /// BLAKE3 of its content: a link's target, nothing for a directory.
    #[serde(rename = "blake3")]
    pub digest: Digest,
    /// A file's permission bits; for anything else with the bits that name its [`EntryKind`].
    #[serde(serialize_with = "crate::patch::git_mode")]
    pub mode: u32,
    /// Its length.
    pub bytes: u64,
    /// When it was last modified, in nanoseconds since 1970.
    #[serde(skip)]
    pub modified_ns: i64,
    /// When it was last modified, for people.
    pub modified_at: Timestamp,
    /// What the file system said when the content was last known to be this.
    #[serde(skip)]
    pub seen: Seen,
}

/// What the file system said about a file, and when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The inode's number.
    pub inode: u64,
    /// The device's number.
    pub device: u64,
    /// When the inode last changed.
    pub changed_ns: i64,
    /// When it was asked, by this machine's clock.
    pub observed_ns: i64,
}

impl Seen {
    pub(crate) fn new(stat: &Stat, observed_ns: i64) -> Self {
        Self { inode: stat.inode, device: stat.device, changed_ns: stat.changed_ns, observed_ns }
    }
}

impl Base {
    /// A base from a digest and the file system's word on the same content.
    pub(crate) fn new(digest: Digest, stat: &Stat, observed_ns: i64) -> Self {
        Self {
            digest,
            mode: stat.mode,
            bytes: stat.bytes,
            modified_ns: stat.modified_ns,
            modified_at: Timestamp::from_unix_ns(stat.modified_ns),
            seen: Seen::new(stat, observed_ns),
        }
    }

    /// That of a symbolic link with a target of this digest and length.
    pub(crate) fn of_link(digest: Digest, bytes: u64, stat: &Stat, observed_ns: i64) -> Self {
        Self { mode: SYMLINK_BITS, bytes, ..Self::new(digest, stat, observed_ns) }
    }

    /// That of a directory.
    pub(crate) fn of_directory(stat: &Stat, observed_ns: i64) -> Self {
        let StagedContent { digest, bytes, mode } = StagedContent::directory(stat.mode);
        Self { mode, bytes, ..Self::new(digest, stat, observed_ns) }
    }

    /// What it is.
    pub fn kind(&self) -> EntryKind {
        EntryKind::of_mode(self.mode)
    }

    /// The same content, to be staged.
    pub(crate) fn content(&self) -> StagedContent {
        StagedContent { digest: self.digest, mode: self.mode, bytes: self.bytes }
    }

    /// What a change set must find.
    pub(crate) fn expected(&self) -> Expected {
        match self.kind() {
            EntryKind::Directory => Expected::Directory { mode: self.mode & 0o7777 },
            EntryKind::File | EntryKind::Symlink => Expected::Matches(self.fingerprint()),
        }
    }

    /// What identifies it on the disk; of no meaning for a directory.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(self.digest, self.bytes, self.mode)
    }

    /// Whether the file system's word alone proves that the base still stands.
    ///
    /// As in git's index, a file that changed shortly before it was looked at
    /// proves nothing: it may have changed again within the same clock tick.
    pub(crate) fn stands_by(&self, stat: &Stat) -> bool {
        !self.fallen_by(stat)
            && self.has_stamps_of(stat)
            && self.seen.changed_ns.saturating_add(RACY_NS) < self.seen.observed_ns
    }

    /// Whether the file is the same one, last touched when it was last looked at.
    pub(crate) fn has_stamps_of(&self, stat: &Stat) -> bool {
        stat.modified_ns == self.modified_ns
            && stat.inode == self.seen.inode
            && stat.device == self.seen.device
            && stat.changed_ns == self.seen.changed_ns
    }

    /// Whether the file system's word alone proves that the base is gone.
    pub(crate) fn fallen_by(&self, stat: &Stat) -> bool {
        if stat.kind != self.kind().file_kind() {
            return true;
        }
        match self.kind() {
            EntryKind::File => stat.bytes != self.bytes || stat.mode != self.mode,
            // Not every system gives a link's length, and none gives it a mode that counts.
            EntryKind::Symlink => false,
            EntryKind::Directory => stat.mode != self.mode & 0o7777,
        }
    }
}
