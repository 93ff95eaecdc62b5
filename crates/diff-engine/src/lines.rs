//! Splits contents into lines.

/// A content as lines, each with its line feed if it has one.
///
/// A line ends at `\n` only; carriage returns, form feeds and the separators of Unicode are
/// content. The last line may lack its line feed; an empty content has no lines.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    /// Where each line ends, past its line feed.
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Splits in one pass.
    pub fn of(bytes: &'a [u8]) -> Self {
        let mut ends = Vec::with_capacity(bytes.len() / LINE_BYTES_GUESSED);
        for_each_feed(bytes, |feed| ends.push(feed + 1));
        if bytes.last().is_some_and(|last| *last != b'\n') {
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of line `at`, counted from 0.
    ///
    /// # Panics
    ///
    /// If there is no such line.
    pub fn get(&self, at: usize) -> &'a [u8] {
        &self.bytes[self.start(at)..self.ends[at]]
    }

    /// The bytes of the lines from `from` up to and without `to`.
    ///
    /// # Panics
    ///
    /// If there are no such lines.
    pub fn range(&self, from: usize, to: usize) -> &'a [u8] {
        if from >= to {
            return &[];
        }
        &self.bytes[self.start(from)..self.ends[to - 1]]
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The whole content.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// The assumed length of a line, for the first allocation.
const LINE_BYTES_GUESSED: usize = 32;

/// The line feeds among eight bytes: the highest bit of each that is one.
fn feeds_in(word: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A byte that is a line feed is 0 here. For any other, its highest bit is set or the addition
    // carries into it. No carry leaves a byte, so no neighbour is taken for a line feed.
    let differing = u64::from_le_bytes(word) ^ (ONES * u64::from(b'\n'));
    !(((differing & LOW_BITS) + LOW_BITS) | differing | LOW_BITS)
}

/// Where the first line ends, past its line feed.
pub(crate) fn first_line_end(bytes: &[u8]) -> usize {
    // A call of `memchr` costs more than it saves if lines are short.
    if let Some(word) = bytes.first_chunk::<8>() {
        let feeds = feeds_in(*word);
        if feeds != 0 {
            return feeds.trailing_zeros() as usize / 8 + 1;
        }
    }
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |feed| feed + 1)
}

/// Calls `found` with the place of every line feed.
///
/// Eight bytes at a time, so that a content of nothing but line feeds costs no more than a few
/// calls of `memchr` would for lines of ordinary length.
fn for_each_feed(bytes: &[u8], mut found: impl FnMut(usize)) {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let mut feeds = feeds_in(*word);
        while feeds != 0 {
            found(index * 8 + feeds.trailing_zeros() as usize / 8);
            feeds &= feeds - 1;
        }
    }
    let rest_at = bytes.len() - rest.len();
    for (at, byte) in (rest_at..).zip(rest) {
        if *byte == b'\n' {
            found(at);
        }
    }
}

/// Where line `count`, counted from 0, starts, or the end where there are no more lines.
pub(crate) fn skip_lines(bytes: &[u8], count: u64) -> usize {
    const CHUNK_BYTES: usize = 4 << 10;
    let mut left = count;
    let mut at = 0;
    // Counting in a whole chunk is cheap, but not for a chunk's worth of lines or fewer.
    while left > CHUNK_BYTES as u64 / LINE_BYTES_GUESSED as u64 && at < bytes.len() {
        let chunk = &bytes[at..bytes.len().min(at + CHUNK_BYTES)];
        let feeds = memchr::memchr_iter(b'\n', chunk).count() as u64;
        if feeds >= left {
            break;
        }
        left -= feeds;
        at += chunk.len();
    }
    while left > 0 && at < bytes.len() {
        left -= 1;
        at += first_line_end(&bytes[at..]);
    }
    at
}

/// How many lines there are, as [`Lines`] counts them.
pub(crate) fn count_lines(bytes: &[u8]) -> u64 {
    let unfinished = bytes.last().is_some_and(|last| *last != b'\n');
    memchr::memchr_iter(b'\n', bytes).count() as u64 + u64::from(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_line_feed_ends_a_line(
            bytes in prop::collection::vec(prop::sample::select(b"\n\n\x0b\x8a\x00\xff\x09a".to_vec()), 0..80),
        ) {
            let lines = Lines::of(&bytes);
            let split: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            prop_assert_eq!(lines.iter().collect::<Vec<_>>(), split.clone());
            prop_assert_eq!(count_lines(&bytes), split.len() as u64);
            for count in 0..split.len() + 2 {
                let skipped: usize = split.iter().take(count).map(|line| line.len()).sum();
                prop_assert_eq!(skip_lines(&bytes, count as u64), skipped);
            }
        }
    }
}
