//! What a workspace looked like when a run began: the stat of every entry that is not ignored.
//!
//! A base is proven by comparing an entry of today with the one that was seen: see
//! [`Evidence`](crate::Evidence). No content is kept here.

mod format;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};

pub use format::FormatError;

use crate::stat::{Stat, TICK_NANOS, Timestamp};

/// The entries of a workspace as they were when a run began, by their paths below its root.
///
/// Paths are bytes with `/` between the names, without one at the start or at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    begun: Timestamp,
    entries: BTreeMap<Box<[u8]>, Stat>,
    /// The paths that were seen again later, each a tick after its last change.
    renewed: BTreeSet<Box<[u8]>>,
}

impl Snapshot {
    /// Collects entries that were read at or after `begun`, by the clock of their file system.
    pub fn new(begun: Timestamp, entries: impl IntoIterator<Item = (Box<[u8]>, Stat)>) -> Self {
        Self { begun, entries: entries.into_iter().collect(), renewed: BTreeSet::new() }
    }

    /// When the walk began: every entry was read at this time or later.
    #[must_use]
    pub fn begun(&self) -> Timestamp {
        self.begun
    }

    /// The entry at `path`, none if there was nothing or if it is ignored.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<&Stat> {
        self.entries.get(path)
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
        match stat {
            Some(stat) => self.entries.insert(path.into(), stat),
            None => self.entries.remove(path),
        };
        self.renewed.insert(path.into());
    }

    /// Every entry in the order of the paths' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Stat)> {
        self.entries.iter().map(|(path, stat)| (&**path, stat))
    }

    /// Every entry below the directory `path`, at any depth; not the directory itself.
    pub fn below(&self, path: &[u8]) -> impl Iterator<Item = (&[u8], &Stat)> {
        self.entries.range::<Box<[u8]>, _>(below(path)).map(|(path, stat)| (&**path, stat))
    }

    /// Writes all of it into bytes that [`decode`](Self::decode) reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format::encode(self.begun, &self.entries)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`FormatError`] if the bytes are damaged or cut short, or if another version wrote them.
    /// Nothing is known of the workspace then, and every change of a file that exists is stale.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let (begun, entries) = format::decode(bytes)?;
        Ok(Self { begun, entries, renewed: BTreeSet::new() })
    }
}

/// The paths below a directory, at any depth, in the order of the paths' bytes.
pub(crate) fn below(directory: &[u8]) -> impl RangeBounds<Box<[u8]>> + use<> {
    // `0` follows `/`: between the two bounds lies what begins with the directory's path.
    let bound = |end| Bound::Excluded([directory, &[end]].concat().into_boxed_slice());
    (bound(b'/'), bound(b'0'))
}
