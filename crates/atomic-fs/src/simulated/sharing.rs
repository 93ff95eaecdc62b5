//! What a user lets others do with a file, where [`Renames::Windows`](super::Renames) is the file
//! system's.

use super::effect::Inode;

/// What a user lets others do with a file that they have open. None of these lets anybody rename
/// or remove it; who shares everything is [`World::open_for_writing`](super::World::open_for_writing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Reads; others may read and write, as the C library has it.
    Reading,
    /// Writes; others may read.
    Writing,
    /// Writes; others may do nothing.
    Nothing,
}

/// A file that a user has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenByUser {
    pub(super) inode: Inode,
    pub(super) sharing: Sharing,
}
