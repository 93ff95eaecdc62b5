//! What trees and patches are made of: random numbers, names and contents.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

/// The same numbers on every machine.
pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("it is less than a usize")
    }

    pub(crate) fn pick<'p, T>(&mut self, of: &'p [T]) -> &'p T {
        &of[self.below(of.len())]
    }
}

pub(crate) const NAMES: [&str; 9] =
    ["f", "d/f", "d/e/f", "a/f", "b/f", "name with blanks", "n\u{e4}me", "g", "d/g.orig"];

/// Contents of lines that repeat, with every kind of end.
pub(crate) fn content(random: &mut Random) -> Vec<u8> {
    const LINES: [&[u8]; 12] = [
        b"a\n",
        b"b\n",
        b"\n",
        b"c\r\n",
        b"}\n",
        b"-- x\n",
        b"++ y\n",
        b" z\n",
        b"@@ -1 +1 @@\n",
        b"\xff\xfe\n",
        b"line\n",
        b"    return\n",
    ];
    let mut content = Vec::new();
    for number in 0..random.below(24) {
        match random.below(3) {
            0 => content.extend_from_slice(LINES[random.below(LINES.len())]),
            _ => content.extend_from_slice(format!("line {number}\n").as_bytes()),
        }
    }
    if random.below(6) == 0 {
        content.extend_from_slice(b"no end");
    }
    content
}

/// One of the lines that begin like this.
pub(crate) fn line_of(lines: &[Vec<u8>], heads: &[&[u8]], random: &mut Random) -> Option<usize> {
    let found: Vec<usize> = (0..lines.len())
        .filter(|at| heads.iter().any(|head| lines[*at].starts_with(head)))
        .collect();
    (!found.is_empty()).then(|| *random.pick(&found))
}
