//! How much of a patch and of a file is read.

/// The longest patch that is read, in bytes.
pub const PATCH_BYTES_MAX: usize = 64 << 20;
/// The most lines that a patch may have.
pub const PATCH_LINES_MAX: usize = 4_000_000;
/// The most lines that a file may have to be changed by a patch.
pub const FILE_LINES_MAX: usize = 8_000_000;
/// How many lines are compared to find the hunks of one file.
pub const SEARCH_STEPS_MAX: usize = 100_000_000;
