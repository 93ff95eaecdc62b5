//! The lines that are left to compare after the simple cases.

use std::collections::HashMap;

use super::trim;

/// The lines between the common ends that both files have.
///
/// A line that only one side has cannot be kept, so it is left out here and becomes a change later;
/// of two files without common lines nothing is left. Ids are numbered again, so that tables by id
/// have no more entries than there are lines.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// How many lines both files start with.
    pub(super) prefix: u32,
    /// How many lines both files end with, after those.
    pub(super) suffix: u32,
    /// The ids of the old side's shared lines.
    pub(super) old: Vec<u32>,
    /// The ids of the new side's shared lines.
    pub(super) new: Vec<u32>,
    /// The index of each shared line in the old file.
    pub(super) old_at: Vec<u32>,
    /// The index of each shared line in the new file.
    pub(super) new_at: Vec<u32>,
    /// How many ids there are; each is below it.
    pub(super) distinct: u32,
}

const UNSEEN: u32 = u32::MAX;
const ONLY_OLD: u32 = u32::MAX - 1;

impl Shared {
    /// Trims and drops, in time linear in the lines.
    pub(super) fn of(old: &[u32], new: &[u32]) -> Self {
        let ends = trim(old, new);
        let old = &old[ends.prefix..old.len() - ends.suffix];
        let new = &new[ends.prefix..new.len() - ends.suffix];
        let mut shared =
            Self { prefix: ends.prefix as u32, suffix: ends.suffix as u32, ..Self::default() };
        if old.is_empty() || new.is_empty() {
            return shared;
        }
        let highest = old.iter().chain(new).copied().max().unwrap_or(0) as usize;
        // A host numbers lines densely; otherwise tables by id would be too large.
        if highest <= 8 * (old.len() + new.len()) {
            shared.fill(old, new, highest + 1);
        } else {
            let (old, new, distinct) = numbered_afresh(old, new);
            shared.fill(&old, &new, distinct);
        }
        shared
    }

    fn fill(&mut self, old: &[u32], new: &[u32], distinct: usize) {
        let mut numbers = vec![UNSEEN; distinct];
        for id in old {
            numbers[*id as usize] = ONLY_OLD;
        }
        self.new.reserve(new.len());
        self.new_at.reserve(new.len());
        for (at, id) in (self.prefix..).zip(new) {
            let number = &mut numbers[*id as usize];
            if *number == UNSEEN {
                continue;
            }
            if *number == ONLY_OLD {
                *number = self.distinct;
                self.distinct += 1;
            }
            self.new.push(*number);
            self.new_at.push(at);
        }
        self.old.reserve(old.len());
        self.old_at.reserve(old.len());
        for (at, id) in (self.prefix..).zip(old) {
            let number = numbers[*id as usize];
            if number != ONLY_OLD {
                self.old.push(number);
                self.old_at.push(at);
            }
        }
    }
}

/// The same lines with ids from 0 on, and how many ids there are.
pub(super) fn numbered_afresh(old: &[u32], new: &[u32]) -> (Vec<u32>, Vec<u32>, usize) {
    let mut numbers = HashMap::with_capacity(old.len());
    let mut renumber = |ids: &[u32]| -> Vec<u32> {
        let number = |id: &u32| {
            let next = numbers.len() as u32;
            *numbers.entry(*id).or_insert(next)
        };
        ids.iter().map(number).collect()
    };
    let (old, new) = (renumber(old), renumber(new));
    (old, new, numbers.len())
}
