//! Texts that several commands print.

use std::fmt::Display;

use staging_core::{Patch, patch_line};

use super::options::new_file_mode;

/// A patch in one line.
pub(super) fn line(patch: &Patch) -> String {
    patch_line(patch, Some(new_file_mode()))
}

/// Patches, a line each.
pub(super) fn lines<'p>(patches: impl IntoIterator<Item = &'p Patch>) -> String {
    patches.into_iter().map(|patch| line(patch) + "\n").collect()
}

/// `1 patch`, `2 patches`; for every type of number.
pub(super) fn count(number: impl Display + PartialEq + From<u8>, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1.into() { one } else { many })
}

pub(super) fn names(ids: &[impl ToString]) -> String {
    const SHOWN_MAX: usize = 20;
    let shown: Vec<String> = ids.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    match ids.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
