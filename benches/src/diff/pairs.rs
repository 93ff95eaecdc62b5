//! Pairs of contents to compare, and the numbers they are made from.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

/// The most bytes of a content that is compared.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// Where a pair comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// Files of published crates in two versions, up to 100 KB.
    Real,
    /// The same, from 100 KB to 1 MiB.
    RealLarge,
    /// What agents do to files.
    AiShaped,
    /// What algorithms choke on, of about 1 MB.
    Adversarial,
}

impl Family {
    pub(super) const ALL: [Self; 4] =
        [Self::Real, Self::RealLarge, Self::AiShaped, Self::Adversarial];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Real => "real, to 100 KB",
            Self::RealLarge => "real, to 1 MiB",
            Self::AiShaped => "AI-shaped",
            Self::Adversarial => "adversarial",
        }
    }
}

/// Two contents.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub family: Family,
    pub name: String,
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

impl Pair {
    pub(super) fn new(family: Family, name: String, old: Vec<u8>, new: Vec<u8>) -> Self {
        Self { family, name, old: whole_lines(old), new: whole_lines(new) }
    }
}

/// The content, cut to the most bytes that are compared, at the end of a line where it has one.
fn whole_lines(mut content: Vec<u8>) -> Vec<u8> {
    if content.len() > BYTES_MAX {
        content.truncate(BYTES_MAX);
        if let Some(feed) = content.iter().rposition(|byte| *byte == b'\n') {
            content.truncate(feed + 1);
        }
    }
    content
}

/// The same numbers on every machine.
pub(super) struct Random(SplitMix64);

impl Random {
    /// Numbers of their own for each name.
    pub(super) fn named(name: &str) -> Self {
        let digest = blake3::hash(name.as_bytes());
        let mut seed = [0; 8];
        seed.copy_from_slice(&digest.as_bytes()[..8]);
        Self(SplitMix64::from_seed(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_on_every_machine() {
        let mut random = Random::named("a");
        assert_eq!([random.below(1000), random.below(1000), random.below(1000)], [341, 284, 963]);
    }

    #[test]
    fn contents_are_cut_at_the_end_of_a_line() {
        let content = [b"a".repeat(BYTES_MAX - 1), b"\nb\n".to_vec()].concat();
        assert_eq!(whole_lines(content).len(), BYTES_MAX);
        assert_eq!(whole_lines(b"a".repeat(BYTES_MAX + 1)).len(), BYTES_MAX);
    }
}
