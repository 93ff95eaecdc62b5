//! Lines that occur once in each file, which line up two files by themselves.

use std::collections::HashMap;

/// The longest chain, increasing on both sides, of lines that occur exactly once in each file.
///
/// Pairs of (old index, new index). Time is O(n log n). This is the heart of patience diff, by
/// Bram Cohen.
pub fn unique_anchors(old: &[u32], new: &[u32]) -> Vec<(u32, u32)> {
    #[derive(Default)]
    struct Seen {
        in_old: u32,
        in_new: u32,
        old_at: u32,
    }
    let mut seen: HashMap<u32, Seen> = HashMap::with_capacity(old.len());
    for (at, id) in (0..).zip(old) {
        let entry = seen.entry(*id).or_default();
        entry.in_old += 1;
        entry.old_at = at;
    }
    for id in new {
        if let Some(entry) = seen.get_mut(id) {
            entry.in_new += 1;
        }
    }
    let pairs: Vec<(u32, u32)> = (0..)
        .zip(new)
        .filter_map(|(at, id)| {
            let entry = seen.get(id)?;
            (entry.in_old == 1 && entry.in_new == 1).then_some((entry.old_at, at))
        })
        .collect();
    longest_increasing(&pairs)
}

/// The longest subsequence of `pairs`, which ascend by new index, that ascends by old index too.
fn longest_increasing(pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
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
