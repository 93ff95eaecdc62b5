//! What a workspace looked like when a run began: the stat of every entry that is not ignored.
//!
//! A base is proven by comparing an entry of today with the one that was seen: see
//! [`Evidence`](crate::Evidence). No content is kept here.

mod format;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};

use table::{Table, merged};

pub use format::FormatError;

use crate::stat::{Stat, TICK_NANOS, Timestamp};

/// The entries of a workspace as they were when a run began, by their paths below its root.
///
/// Paths are bytes with `/` between the names, without one at the start or at the end.
#[derive(Clone, Debug)]
pub struct Snapshot {
    begun: Timestamp,
    /// What was walked or decoded.
    table: Table,
    /// What is there instead of it, at single paths; none for nothing.
    edits: BTreeMap<Box<[u8]>, Option<Stat>>,
    /// The paths that were seen again later, each a tick after its last change.
    renewed: BTreeSet<Box<[u8]>>,
}

impl Snapshot {
    /// Collects entries that were read at or after `begun`, by the clock of their file system.
    pub fn new(begun: Timestamp, entries: impl IntoIterator<Item = (Box<[u8]>, Stat)>) -> Self {
        Self::of_table(begun, Table::new(entries.into_iter().collect()))
    }

    fn of_table(begun: Timestamp, table: Table) -> Self {
        Self { begun, table, edits: BTreeMap::new(), renewed: BTreeSet::new() }
    }

    /// When the walk began: every entry was read at this time or later.
    #[must_use]
    pub fn begun(&self) -> Timestamp {
        self.begun
    }

    /// The entry at `path`, none if there was nothing or if it is ignored.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<&Stat> {
        match self.edits.get(path) {
            Some(edited) => edited.as_ref(),
            None => self.table.get(path),
        }
    }

    /// The entry at `path`, if it had last changed a tick of the clock before it was read: then
    /// every later change shows.
    #[must_use]
    pub fn settled(&self, path: &[u8]) -> Option<&Stat> {
        let is_settled = |stat: &&Stat| stat.changed.later_by(TICK_NANOS) < self.begun;
        self.get(path).filter(|stat| is_settled(stat) || self.renewed.contains(path))
    }

    /// The entry at `path` as a later snapshot takes it over: one that was not settled is no entry of
    /// the workspace there, and still says that something was.
    #[cfg(target_os = "linux")]
    pub(crate) fn carried(&self, path: &[u8]) -> Option<Stat> {
        let stat = *self.get(path)?;
        Some(if self.settled(path).is_some() { stat } else { Stat { inode: 0, ..stat } })
    }

    /// Whether what was seen at `path` was replaced.
    #[must_use]
    pub fn is_renewed(&self, path: &[u8]) -> bool {
        self.renewed.contains(path)
    }

    /// Replaces what was seen at `path` by what was there later, read a tick of the clock after it
    /// had last changed; none for nothing. [`encode`](Self::encode) does not keep that it is settled.
    pub fn renew(&mut self, path: &[u8], stat: Option<Stat>) {
        self.set(path, stat);
        self.renewed.insert(path.into());
    }

    /// Replaces the entry at `path`; none for nothing.
    pub(crate) fn set(&mut self, path: &[u8], stat: Option<Stat>) {
        self.edits.insert(path.into(), stat);
    }

    /// Removes every entry below `path`.
    #[cfg(target_os = "linux")]
    pub(crate) fn remove_below(&mut self, path: &[u8]) {
        let below: Vec<Box<[u8]>> = self.below(path).map(|(path, _)| path.into()).collect();
        for path in below {
            self.set(&path, None);
        }
    }

    /// Every entry in the order of the paths' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Stat)> {
        let edits = self.edits.iter().map(|(path, stat)| (&**path, stat.as_ref()));
        merged(self.table.iter(), edits)
    }

    /// Every entry below the directory `path`, at any depth; not the directory itself.
    pub fn below(&self, path: &[u8]) -> impl Iterator<Item = (&[u8], &Stat)> {
        let edits = self.edits.range::<Box<[u8]>, _>(below(path));
        merged(self.table.below(path), edits.map(|(path, stat)| (&**path, stat.as_ref())))
    }

    /// Writes all of it into bytes that [`decode`](Self::decode) reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format::encode(self.begun, self.iter())
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`FormatError`] if the bytes are damaged or cut short, or if another version wrote them.
    /// Nothing is known of the workspace then, and every change of a file that exists is stale.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let (begun, table) = format::decode(bytes)?;
        Ok(Self::of_table(begun, table))
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.begun == other.begun && self.renewed == other.renewed && self.iter().eq(other.iter())
    }
}

impl Eq for Snapshot {}

/// The paths below a directory, at any depth, in the order of the paths' bytes.
pub(crate) fn below(directory: &[u8]) -> impl RangeBounds<Box<[u8]>> + use<> {
    // `0` follows `/`: between the two bounds lies what begins with the directory's path.
    let bound = |end| Bound::Excluded([directory, &[end]].concat().into_boxed_slice());
    (bound(b'/'), bound(b'0'))
}
