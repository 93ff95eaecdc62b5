//! The smallest changes that a call to a simulated disk is made of.

use std::sync::Arc;

/// An inode's number; 0 is the top directory.
pub type Inode = u32;
/// A name in a directory, one component.
pub type Name = Arc<[u8]>;

/// The smallest thing that a crash can keep or lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Names that change together, all in one directory.
    Names(Vec<Assignment>),
    /// A file's content or metadata, or a directory's metadata.
    Altered(Inode, Alteration),
}

/// How an inode changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// A piece of a file's content, at most 4 KiB.
    Data {
        /// Where, in bytes.
        offset: u64,
        /// What.
        content: Arc<[u8]>,
    },
    /// A file's length in bytes.
    Size(u64),
    /// Permission bits.
    Mode(u32),
    /// Owner and group.
    Owner((u32, u32)),
    /// The time of modification.
    Modified(i64),
    /// An extended attribute.
    Attribute {
        /// Its name.
        name: Vec<u8>,
        /// Its value; `None` removes it.
        value: Option<Vec<u8>>,
    },
}

/// A name's new meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The directory.
    pub dir: Inode,
    /// The name in it.
    pub name: Name,
    /// What it stands for now; `None` when it is gone.
    pub inode: Option<Inode>,
}

impl Effect {
    /// The file whose content or metadata changes.
    pub fn inode(&self) -> Option<Inode> {
        match self {
            Self::Names(_) => None,
            Self::Altered(inode, _) => Some(*inode),
        }
    }

    /// Whether it is content, which journalling file systems write when they like.
    pub fn is_content(&self) -> bool {
        matches!(self, Self::Altered(_, Alteration::Data { .. } | Alteration::Size(_)))
    }

    pub(super) fn assignments(&self) -> &[Assignment] {
        match self {
            Self::Names(assignments) => assignments,
            _ => &[],
        }
    }
}
