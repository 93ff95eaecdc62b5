//! Splitting into lines and giving equal lines equal ids.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A content as lines, each with its line feed where it has one.
///
/// A line ends at `\n` only; carriage returns, form feeds and the separators of Unicode are
/// content. The last line may lack its line feed; an empty content has no lines.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    /// Where each line ends, past its line feed.
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Splits in one pass.
    pub fn of(bytes: &'a [u8]) -> Self {
        let mut ends: Vec<usize> = memchr::memchr_iter(b'\n', bytes).map(|feed| feed + 1).collect();
        if bytes.last().is_some_and(|last| *last != b'\n') {
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of line `at`, counted from 0.
    ///
    /// # Panics
    ///
    /// When there is no such line.
    pub fn get(&self, at: usize) -> &'a [u8] {
        &self.bytes[self.start(at)..self.ends[at]]
    }

    /// The bytes of the lines from `from` up to and without `to`.
    ///
    /// # Panics
    ///
    /// When there are no such lines.
    pub fn range(&self, from: usize, to: usize) -> &'a [u8] {
        if from >= to {
            return &[];
        }
        &self.bytes[self.start(from)..self.ends[to - 1]]
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The whole content.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// Two contents as line ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interned {
    /// The ids of the old lines.
    pub old: Vec<u32>,
    /// The ids of the new lines.
    pub new: Vec<u32>,
    /// How many ids there are; each is below it.
    pub distinct: u32,
}

/// Gives lines the same id exactly when their bytes are equal, numbered by first appearance.
///
/// The table is keyed afresh in each run, so that no content can be made to collide, and compares
/// bytes, so that a collision would cost time and nothing else.
pub fn intern(old: &Lines<'_>, new: &Lines<'_>) -> Interned {
    let mut ids: HashMap<&[u8], u32> = HashMap::with_capacity(old.len().max(new.len()));
    let mut id_of = |line| {
        let next = ids.len() as u32;
        match ids.entry(line) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(next),
        }
    };
    let old = old.iter().map(&mut id_of).collect();
    let new = new.iter().map(&mut id_of).collect();
    Interned { old, new, distinct: ids.len() as u32 }
}
