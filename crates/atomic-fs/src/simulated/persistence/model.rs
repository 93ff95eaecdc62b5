//! The models of what survives a crash.

use serde::{Deserialize, Serialize};

/// What survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    /// The process dies, the system lives: everything done so far; a write may be cut
    /// short.
    Kill,
    /// Power is cut on a file system that orders nothing: any subset of what was not
    /// synced, every piece of content whole, torn, garbage or missing. A file's sync
    /// covers its content and metadata and not its name, a directory's its metadata and the names
    /// in it (fsync(2)).
    Weak,
    /// Power is cut on a file system with one journal (ext4, xfs): names and metadata
    /// survive up to some point of their order, and any sync commits all of them so far;
    /// content that was not synced is arbitrary.
    Ordered,
    /// Power is cut on a file system with a log of synced inodes (btrfs): as the last,
    /// but a sync commits one file with its names, or one directory, ahead of the order.
    Treelog,
    /// Power is cut on a file system with one log that is written as far as it has to be
    /// (NTFS): as `Ordered`, but a flush commits the log only up to the last record of the file
    /// or directory that is flushed.
    Ntfs,
}

impl Persistence {
    /// Those of the systems that [`SimulatedDisk`](crate::simulated::SimulatedDisk) is like.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Weak, Self::Ordered, Self::Treelog];
    /// Those of them in which power is cut.
    pub const POWER_CUTS: [Self; 3] = [Self::Weak, Self::Ordered, Self::Treelog];
    /// Those of Windows.
    pub const WINDOWS: [Self; 2] = [Self::Kill, Self::Ntfs];

    /// Its name on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Weak => "weak",
            Self::Ordered => "ordered",
            Self::Treelog => "treelog",
            Self::Ntfs => "ntfs",
        }
    }
}
