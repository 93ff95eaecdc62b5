//! Measures the common start and end of two files.

/// How many lines two files share at the start and, of the rest, at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Lines in common at the start.
    pub prefix: usize,
    /// Lines in common at the end, not counting those of the start.
    pub suffix: usize,
}

/// Measures the common start and end; together they never exceed the shorter side.
pub fn trim(old: &[u32], new: &[u32]) -> Trim {
    let prefix = common_start(old, new);
    Trim { prefix, suffix: common_end(&old[prefix..], &new[prefix..]) }
}

/// How many lines two stretches share at the start.
pub fn common_start(old: &[u32], new: &[u32]) -> usize {
    old.iter().zip(new).take_while(|(a, b)| a == b).count()
}

/// How many lines two stretches share at the end.
pub fn common_end(old: &[u32], new: &[u32]) -> usize {
    old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count()
}
