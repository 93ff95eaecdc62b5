//! Gives equal lines equal ids.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher as _};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::lines::Lines;

/// Two contents as line ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interned {
    /// The ids of the old lines.
    pub old: Vec<u32>,
    /// The ids of the new lines.
    pub new: Vec<u32>,
}

/// Two contents that are compared: their lines, and the ids of the lines.
pub(crate) struct FilePair<'a> {
    pub(crate) ids: Interned,
    pub(crate) old: Lines<'a>,
    pub(crate) new: Lines<'a>,
}

impl<'a> FilePair<'a> {
    pub(crate) fn of(old: &'a [u8], new: &'a [u8]) -> Self {
        let (old, new) = (Lines::of(old), Lines::of(new));
        Self { ids: intern(&old, &new), old, new }
    }
}

/// Gives lines the same id exactly when their bytes are equal, numbered by first appearance.
///
/// The hash has a new key in each process, and bytes are compared if hashes are equal, so a collision
/// costs time and nothing else. Lines that were made to collide in spite of the key are hashed again
/// by the standard library's slower hash, which is designed to resist that.
pub fn intern(old: &Lines<'_>, new: &Lines<'_>) -> Interned {
    /// More than a hash of 64 bits has by chance in the largest of files.
    const COLLISIONS_MAX: usize = 64;
    let quick = foldhash::quality::RandomState::default();
    intern_by(&quick, old, new, COLLISIONS_MAX)
        .or_else(|| intern_by(&RandomState::new(), old, new, usize::MAX))
        .expect("no content has more collisions than there are numbers")
}

/// As [`intern`], with the caller's hash; `None` if it collides too often.
fn intern_by<'a>(
    hash: &impl BuildHasher,
    old: &Lines<'a>,
    new: &Lines<'a>,
    collisions_max: usize,
) -> Option<Interned> {
    let lines = old.len() + new.len();
    let mut table = Table {
        hash,
        // If lines are shorter than that, most of them are equal.
        ids: HashTable::with_capacity(lines.min((old.bytes().len() + new.bytes().len()) / 8)),
        known: Vec::new(),
        short: [UNKNOWN; 257],
        collisions: 0,
    };
    let old = table.ids_of(old, collisions_max)?;
    let new = table.ids_of(new, collisions_max)?;
    Some(Interned { old, new })
}

const UNKNOWN: u32 = u32::MAX;

struct Table<'a, 'h, H> {
    hash: &'h H,
    ids: HashTable<u32>,
    /// By id: the line, and its hash unless it is a short one.
    known: Vec<(&'a [u8], u64)>,
    /// The ids of the empty line and of the lines of one byte, all with their line feeds: a file
    /// of short lines has most of all lines, and needs no hashing.
    short: [u32; 257],
    collisions: usize,
}

impl<'a, H: BuildHasher> Table<'a, '_, H> {
    fn ids_of(&mut self, lines: &Lines<'a>, collisions_max: usize) -> Option<Vec<u32>> {
        let mut ids = Vec::with_capacity(lines.len());
        for line in lines.iter() {
            ids.push(self.id_of(line));
            if self.collisions > collisions_max {
                return None;
            }
        }
        Some(ids)
    }

    fn id_of(&mut self, line: &'a [u8]) -> u32 {
        let short = match line {
            [b'\n'] => 256,
            [byte, b'\n'] => usize::from(*byte),
            _ => return self.id_by_hash(line),
        };
        if self.short[short] == UNKNOWN {
            self.short[short] = self.known.len() as u32;
            self.known.push((line, 0));
        }
        self.short[short]
    }

    fn id_by_hash(&mut self, line: &'a [u8]) -> u32 {
        let mut hasher = self.hash.build_hasher();
        hasher.write(line);
        let hash = hasher.finish();
        let (known, collisions) = (&mut self.known, &mut self.collisions);
        let is_it = |id: &u32| {
            let (known_line, known_hash) = known[*id as usize];
            if known_hash != hash {
                return false;
            }
            *collisions += usize::from(known_line != line);
            known_line == line
        };
        match self.ids.entry(hash, is_it, |id| known[*id as usize].1) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let id = known.len() as u32;
                entry.insert(id);
                known.push((line, hash));
                id
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;

    /// A hash that somebody has broken.
    #[derive(Default)]
    struct Broken;

    impl Hasher for Broken {
        fn finish(&self) -> u64 {
            7
        }

        fn write(&mut self, _bytes: &[u8]) {}
    }

    #[test]
    fn collisions_cost_time_and_nothing_else() {
        let content: String = (0..200).map(|n| format!("line {}\n", n % 150)).collect();
        let (old, new) = (Lines::of(content.as_bytes()), Lines::of(b"line 3\n\nx\nline 9"));
        let broken = BuildHasherDefault::<Broken>::default();
        assert_eq!(intern_by(&broken, &old, &new, 64), None, "the quick hash is given up");
        let expected = intern(&old, &new);
        assert_eq!(intern_by(&broken, &old, &new, usize::MAX).as_ref(), Some(&expected));
        assert_eq!(expected.new, [3, 150, 151, 152]);
    }
}
