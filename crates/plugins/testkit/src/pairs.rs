//! Pairs of files, as line ids: edge cases, seeded edits, and shapes that are hard for strategies.

use std::iter::repeat_n;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

/// Two files to compare.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Their description.
    pub what: String,
    /// The ids of the old file's lines.
    pub old: Vec<u32>,
    /// The ids of the new file's lines.
    pub new: Vec<u32>,
}

impl Pair {
    fn new(
        what: &str,
        old: impl IntoIterator<Item = u32>,
        new: impl IntoIterator<Item = u32>,
    ) -> Self {
        Self {
            what: what.to_owned(),
            old: old.into_iter().collect(),
            new: new.into_iter().collect(),
        }
    }
}

/// Edge cases: empty, equal, disjoint, repetitive.
pub fn small_pairs() -> Vec<Pair> {
    vec![
        Pair::new("two empty files", [], []),
        Pair::new("an empty file that is filled", [], 0..5),
        Pair::new("a file that is emptied", 0..5, []),
        Pair::new("one line kept", [0], [0]),
        Pair::new("one line changed", [0], [1]),
        Pair::new("equal files", 0..50, 0..50),
        Pair::new("disjoint files", 0..50, 50..100),
        Pair::new("equal lines, more of them", [0; 20], [0; 33]),
        Pair::new("equal lines, fewer of them", [0; 33], [0; 20]),
        Pair::new("a reversed file", 0..50, (0..50).rev()),
        Pair::new("a line in front", 0..10, [99].into_iter().chain(0..10)),
        Pair::new("a line behind", 0..10, (0..10).chain([99])),
        Pair::new("common ends that overlap", [0, 1, 0], [0, 1, 0, 1, 0]),
        Pair::new("two blocks swapped", 0..40, (20..40).chain(0..20)),
        Pair::new("every second line changed", 0..60, (0..60).map(|id| id + 100 * (id % 2))),
    ]
}

/// Files and edits of them; equal seeds give equal pairs on every machine.
pub fn random_pairs(seed: u64, count: usize) -> Vec<Pair> {
    let mut random = SplitMix64::seed_from_u64(seed);
    (0..count)
        .map(|index| {
            let distinct = [2, 5, 30, 1000][index % 4];
            let length = below(&mut random, 120);
            let old: Vec<u32> = (0..length).map(|_| below(&mut random, distinct)).collect();
            let mut new = old.clone();
            for _ in 0..below(&mut random, 10) {
                edit(&mut new, distinct, &mut random);
            }
            Pair::new(&format!("random pair {index} of seed {seed:#x}"), old, new)
        })
        .collect()
}

/// Shapes that are quadratic, or deep, for one algorithm or another, at up to a million lines.
pub fn large_pairs() -> Vec<Pair> {
    let mut random = SplitMix64::seed_from_u64(0x1a26e);
    let mut some = |count: u32, distinct: u32| -> Vec<u32> {
        (0..count).map(|_| below(&mut random, distinct)).collect()
    };
    let swapped = |count: u32| (0..count).map(|id| id ^ 1);
    vec![
        Pair::new(
            "a million lines, one changed",
            0..1_000_000,
            (0..1_000_000).map(|id| if id == 500_000 { u32::MAX } else { id }),
        ),
        Pair::new("a million disjoint lines", 0..500_000, 500_000..1_000_000),
        Pair::new(
            "a million equal lines between edges",
            [1].into_iter().chain(repeat_n(0, 500_000)).chain([2]),
            [3].into_iter().chain(repeat_n(0, 499_000)).chain([4]),
        ),
        Pair::new("random lines, 2 distinct", some(60_000, 2), some(60_000, 2)),
        Pair::new("random lines, 64 distinct", some(60_000, 64), some(60_000, 64)),
        Pair::new("random lines, 5000 distinct", some(40_000, 5000), some(40_000, 5000)),
        Pair::new("neighbours swapped", 0..100_000, swapped(100_000)),
        Pair::new(
            "every third line changed",
            0..100_000,
            (0..100_000).map(|id| if id % 3 == 0 { id + 1_000_000 } else { id }),
        ),
        Pair::new("a reversed large file", 0..60_000, (0..60_000).rev()),
        Pair::new(
            "periods of 7 and 11",
            (0..80_000).map(|id| id % 7),
            (0..80_000).map(|id| id % 11),
        ),
    ]
}

fn edit(lines: &mut Vec<u32>, distinct: u32, random: &mut SplitMix64) {
    let at = below(random, lines.len() as u32 + 1) as usize;
    let to = (at + below(random, 8) as usize).min(lines.len());
    match below(random, 4) {
        0 => drop(lines.drain(at..to)),
        1 => lines.insert(at, below(random, distinct * 2)),
        2 => lines[at..to].reverse(),
        _ => {
            let moved: Vec<u32> = lines.drain(at..to).collect();
            let target = below(random, lines.len() as u32 + 1) as usize;
            lines.splice(target..target, moved);
        }
    }
}

fn below(random: &mut SplitMix64, limit: u32) -> u32 {
    random.next_u32() % limit.max(1)
}
