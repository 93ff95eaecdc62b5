//! What one `statx` reports of an entry, as far as a change of the entry shows in it.

use serde::{Deserialize, Serialize};

/// A change that happened within this time after a file was read may leave its times as they
/// were. The clock of a file system ticks every 10 ms at the slowest.
pub const TICK_NANOS: u32 = 20_000_000;

/// What kind of entry a name leads to, without following it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A socket, a fifo or a device.
    Other,
}

impl Kind {
    /// Whether rules for directories match: what hides something in an upper directory, a device there,
    /// may hide a directory.
    pub(crate) fn may_be_directory(self) -> bool {
        matches!(self, Self::Directory | Self::Other)
    }
}

/// A point in time by the clock of the file system, in seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds on top of them, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// The time `nanos` nanoseconds later.
    #[must_use]
    pub fn later_by(self, nanos: u32) -> Self {
        const SECOND: u64 = 1_000_000_000;
        let sum = u64::from(self.nanos) + u64::from(nanos);
        let seconds = self.seconds.saturating_add((sum / SECOND) as i64);
        Self { seconds, nanos: (sum % SECOND) as u32 }
    }
}

/// What `statx` reports of an entry. Two equal ones are the same entry, unchanged between the two
/// calls, if the first call came more than a tick of the clock after the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// The kind of the entry.
    pub kind: Kind,
    /// The permission bits, setuid, setgid and sticky included.
    pub mode: u16,
    /// The device that the file system reports.
    pub device: u64,
    /// The inode number. Some file systems give a number out again at once, hence `born`.
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// When the content changed last; programs set it as they like.
    pub modified: Timestamp,
    /// When content, mode, owner or name changed last; programs cannot set it.
    pub changed: Timestamp,
    /// When the inode was made, where the file system records that.
    pub born: Option<Timestamp>,
}
