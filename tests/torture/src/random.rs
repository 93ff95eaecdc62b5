//! Numbers and contents that differ each time.

/// Xorshift64, seeded by the system.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher as _, Hasher as _};
        Self(std::hash::RandomState::new().build_hasher().finish() | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Mostly short, now and then too long for a pack.
    pub(crate) fn content(&mut self, label: &str, round: usize) -> Vec<u8> {
        let lines = if self.below(60) == 0 { 20_000 } else { 1 + self.below(300) };
        format!("{label} {round} {}\n", self.below(1000)).repeat(lines as usize).into_bytes()
    }
}
