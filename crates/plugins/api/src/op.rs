//! One step of an edit script.

use abi_stable::StableAbi;

/// A run of lines kept, deleted or inserted.
///
/// `old` and `new` are line indexes counted from 0, `len` is a number of lines. A kept run is
/// `old..old + len` of the old file and `new..new + len` of the new one; a deleted run is
/// `old..old + len`, with `new` where the new file stands; an inserted run is `new..new + len`,
/// with `old` where the old file stands.
///
/// A plain struct of integers, so that whatever a plugin writes into it is a value the host can
/// look at; the kind is checked by the host, never trusted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, StableAbi)]
pub struct Op {
    /// [`Op::KEEP`], [`Op::DELETE`] or [`Op::INSERT`].
    pub kind: u32,
    /// The first line in the old file.
    pub old: u32,
    /// The first line in the new file.
    pub new: u32,
    /// The number of lines; at least 1.
    pub len: u32,
}

impl Op {
    /// The kind of a run that both files have.
    pub const KEEP: u32 = 0;
    /// The kind of a run that only the old file has.
    pub const DELETE: u32 = 1;
    /// The kind of a run that only the new file has.
    pub const INSERT: u32 = 2;

    /// A run of `len` lines that both files have.
    pub const fn keep(old: u32, new: u32, len: u32) -> Self {
        Self { kind: Self::KEEP, old, new, len }
    }

    /// A run of `len` lines that goes.
    pub const fn delete(old: u32, new: u32, len: u32) -> Self {
        Self { kind: Self::DELETE, old, new, len }
    }

    /// A run of `len` lines that comes.
    pub const fn insert(old: u32, new: u32, len: u32) -> Self {
        Self { kind: Self::INSERT, old, new, len }
    }
}
