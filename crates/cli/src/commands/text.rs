//! Texts that several commands print.

use std::fmt::Display;

use staging_core::{ApplyId, Patch, SetRisk, patch_line};

use super::options::new_file_mode;

/// A patch in one line.
pub(super) fn line(patch: &Patch) -> String {
    patch_line(patch, Some(new_file_mode()))
}

/// Patches, a line each.
pub(super) fn lines<'p>(patches: impl IntoIterator<Item = &'p Patch>) -> String {
    patches.into_iter().map(|patch| line(patch) + "\n").collect()
}

/// The risks of a set, a line for each kind.
pub(super) fn risks<'p>(patches: impl IntoIterator<Item = &'p Patch>) -> String {
    SetRisk::of(patches).iter().map(|risk| risk.line() + "\n").collect()
}

/// `1 patch`, `2 patches`; for every type of number.
pub(super) fn count(number: impl Display + PartialEq + From<u8>, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1.into() { one } else { many })
}

/// The end of a line about an apply: its id, and the command that takes it back.
pub(super) fn taken_back_by(apply: Option<ApplyId>) -> String {
    let say = |apply| format!(" as {apply}; `greenroom undo {apply}` takes it back");
    apply.map(say).unwrap_or_default()
}

/// A number of bytes for people: `812 bytes`, `4.2 MB`.
#[cfg(target_os = "linux")]
pub(super) fn bytes(number: u64) -> String {
    let units = [("kB", 3), ("MB", 6), ("GB", 9), ("TB", 12)];
    let fitting = units.into_iter().rev().find(|(_, zeros)| number >= 10_u64.pow(*zeros));
    match fitting {
        None => format!("{number} bytes"),
        Some((unit, zeros)) => {
            let tenths = number / 10_u64.pow(zeros - 1);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

pub(super) fn names(ids: &[impl ToString]) -> String {
    const SHOWN_MAX: usize = 20;
    let shown: Vec<String> = ids.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    match ids.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
