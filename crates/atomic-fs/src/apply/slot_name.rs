//! The names of slots, by which they are found without a journal.

/// The first bytes of every slot's name; what follows is the set's id and the
/// unit's number, and `.tmp` ends it.
pub(crate) const SLOT_PREFIX: &str = ".greenroom-";
pub(crate) const SLOT_SUFFIX: &str = ".tmp";
/// Comes before the suffix in the name that a file has while its slot arrives.
pub(crate) const ASIDE_MARKER: &str = ".aside";
/// The same in the name of a slot that recovery is still writing.
pub(crate) const PART_MARKER: &str = ".part";
/// Ends the set's id in the slots of an intent that was rebuilt for a set whose slots may be
/// numbered otherwise. No set's id holds a dot.
pub(crate) const REBUILT_MARKER: &str = ".r";

/// Whether a name can only be a slot of Greenroom's.
pub fn is_slot_name(name: &[u8]) -> bool {
    name.starts_with(SLOT_PREFIX.as_bytes()) && name.ends_with(SLOT_SUFFIX.as_bytes())
}

/// The set that a slot belongs to, by the slot's name.
pub fn set_of_slot(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let mut rest = name.strip_prefix(SLOT_PREFIX)?.strip_suffix(SLOT_SUFFIX)?;
    for marker in [ASIDE_MARKER, PART_MARKER] {
        rest = rest.strip_suffix(marker).unwrap_or(rest);
    }
    let (set, unit) = rest.rsplit_once('-')?;
    let is_number = !unit.is_empty() && unit.bytes().all(|byte| byte.is_ascii_digit());
    let set = set.strip_suffix(REBUILT_MARKER).unwrap_or(set);
    (is_number && is_set_id(set)).then_some(set)
}

pub(crate) fn slot_name(set: &str, number: usize) -> String {
    format!("{SLOT_PREFIX}{set}-{number}{SLOT_SUFFIX}")
}

/// Whether a text can name a change set: it becomes a part of files' names.
pub(crate) fn is_set_id(text: &str) -> bool {
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(well_formed)
}
