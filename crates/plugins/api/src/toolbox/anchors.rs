//! Finds lines that occur once in each file, by which two files can be compared.

use super::shared::numbered_afresh;

/// The longest chain, increasing on both sides, of lines that occur exactly once in each file.
///
/// Pairs of (old index, new index). Time is O(n log n). This is the heart of patience diff, by
/// Bram Cohen.
pub fn unique_anchors(old: &[u32], new: &[u32]) -> Vec<(u32, u32)> {
    let (old, new, distinct) = numbered_afresh(old, new);
    Slots::default().anchors(&old, &new, distinct)
}

/// A table by id, reused from piece to piece and empty in between.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Slot>);

/// The index of an id on each side.
#[derive(Clone, Copy, Debug)]
struct Slot {
    old_at: u32,
    new_at: u32,
}

const NOWHERE: u32 = u32::MAX;
const TWICE: u32 = u32::MAX - 1;
const EMPTY: Slot = Slot { old_at: NOWHERE, new_at: NOWHERE };

impl Slots {
    /// As [`unique_anchors`], of ids that are all below `distinct`.
    pub(super) fn anchors(&mut self, old: &[u32], new: &[u32], distinct: usize) -> Vec<(u32, u32)> {
        if self.0.len() < distinct {
            self.0.resize(distinct, EMPTY);
        }
        let seen = |place: &mut u32, at: u32| *place = if *place == NOWHERE { at } else { TWICE };
        for (at, id) in (0..).zip(old) {
            seen(&mut self.0[*id as usize].old_at, at);
        }
        for (at, id) in (0..).zip(new) {
            seen(&mut self.0[*id as usize].new_at, at);
        }
        let pairs: Vec<(u32, u32)> = (0..)
            .zip(new)
            .filter_map(|(at, id)| {
                let slot = self.0[*id as usize];
                (slot.old_at < TWICE && slot.new_at == at).then_some((slot.old_at, at))
            })
            .collect();
        for id in old.iter().chain(new) {
            self.0[*id as usize] = EMPTY;
        }
        longest_increasing(pairs)
    }
}

/// The longest subsequence of `pairs`, which ascend by new index, that ascends by old index too.
fn longest_increasing(pairs: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    if pairs.is_sorted_by_key(|pair| pair.0) {
        return pairs;
    }
    // tails[k] is the index of the pair that ends the best chain of k + 1 pairs so far.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, pair) in pairs.iter().enumerate() {
        let position = tails.partition_point(|&tail| pairs[tail].0 < pair.0);
        before.push(position.checked_sub(1).map(|previous| tails[previous]));
        match tails.get_mut(position) {
            Some(tail) => *tail = at,
            None => tails.push(at),
        }
    }
    let mut chain = Vec::with_capacity(tails.len());
    let mut next = tails.last().copied();
    while let Some(at) = next {
        chain.push(pairs[at]);
        next = before[at];
    }
    chain.reverse();
    chain
}
