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
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[prefix..], &new[prefix..]);
    let suffix = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    Trim { prefix, suffix }
}
