//! Telling data from holes, so that a file with holes takes no more room where it is copied to.

use std::ops::Range;

/// The block of common file systems: less than this cannot be a hole.
const BLOCK: usize = 4096;

/// The parts of a file's bytes that have to be written, in order; `offset` is where in the file
/// they begin. Between them are whole blocks of zeros, which a file has without being written to.
///
/// ```
/// let mut bytes = vec![0; 3 * 4096];
/// bytes[5000] = 1;
/// assert_eq!(atomic_fs::data_runs(&bytes, 0), [4096..8192]);
/// ```
pub fn data_runs(bytes: &[u8], offset: u64) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    // The first block may have begun before these bytes.
    let mut end = BLOCK - (offset % BLOCK as u64) as usize;
    while at < bytes.len() {
        let block = at..end.min(bytes.len());
        if !is_zero(&bytes[block.clone()]) {
            match runs.last_mut() {
                Some(run) if run.end == block.start => run.end = block.end,
                _ => runs.push(block.clone()),
            }
        }
        (at, end) = (block.end, end + BLOCK);
    }
    runs
}

/// Whether some whole block of a file's bytes is a hole, or could be one.
pub(crate) fn has_hole(bytes: &[u8]) -> bool {
    bytes.chunks_exact(BLOCK).any(is_zero)
}

fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    *block == ZEROS[..block.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_left_out_is_whole_blocks_of_zeros(
            offset in 0_u64..10_000,
            blocks in prop::collection::vec((any::<bool>(), 1..9000_usize), 0..8),
        ) {
            let mut bytes = Vec::new();
            for (is_data, length) in blocks {
                bytes.extend(std::iter::repeat_n(u8::from(is_data), length));
            }
            let runs = data_runs(&bytes, offset);
            let mut left = bytes.clone();
            for run in &runs {
                prop_assert!(bytes[run.clone()].iter().any(|byte| *byte != 0), "no run for nothing");
                left[run.clone()].fill(0);
                for end in [run.start, run.end] {
                    let is_aligned = (offset + end as u64).is_multiple_of(BLOCK as u64);
                    prop_assert!(is_aligned || end == 0 || end == bytes.len());
                }
            }
            prop_assert!(left.iter().all(|byte| *byte == 0), "all data is in a run");
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
