//! Which words of changed lines changed.
//!
//! # Limitations
//! The time for it is bounded: long changes, and those that have little in common, have no emphasis.

use std::time::Instant;

use similar::{DiffOp, InlineChangeMode, InlineChangeOptions, TextDiff};

/// The lines of a change are not compared when there are more of them, or more bytes in them.
pub(crate) const LINES_MAX: usize = 200;
pub(crate) const BYTES_MAX: usize = 8 << 10;

/// Parts of a line, each with whether it changed. Together they are the line.
pub(crate) type Parts<'l> = Vec<(bool, &'l str)>;

/// The parts of removed lines and of the lines that were added for them, until a deadline; none
/// where the two have little in common.
pub(crate) fn changed_words<'l>(
    removed: &[&'l str],
    added: &[&'l str],
    deadline: Instant,
) -> Option<(Vec<Parts<'l>>, Vec<Parts<'l>>)> {
    if removed.is_empty() || added.is_empty() {
        return None;
    }
    let lines = TextDiff::configure().deadline(deadline).diff_slices(removed, added);
    let replaced = DiffOp::Replace {
        old_index: 0,
        old_len: removed.len(),
        new_index: 0,
        new_len: added.len(),
    };
    let mut options = InlineChangeOptions::new();
    options.mode(InlineChangeMode::UnicodeWords).semantic_cleanup(true);
    let changes =
        lines.iter_inline_changes_with_options_deadline(&replaced, options, Some(deadline));
    let mut parts = (vec![None; removed.len()], vec![None; added.len()]);
    let mut is_emphasized = false;
    for change in changes {
        let (side, line, index) = match (change.old_index(), change.new_index()) {
            (Some(index), None) => (&mut parts.0, removed[index], index),
            (None, Some(index)) => (&mut parts.1, added[index], index),
            _ => return None,
        };
        side[index] = Some(parts_of(line, change.values())?);
        is_emphasized |= change.values().iter().any(|(is_changed, _)| *is_changed);
    }
    let whole = |side: Vec<Option<Parts<'l>>>| side.into_iter().collect::<Option<Vec<_>>>();
    if !is_emphasized {
        return None;
    }
    Some((whole(parts.0)?, whole(parts.1)?))
}

/// The parts as pieces of the line itself; none where they are not the line.
fn parts_of<'l>(line: &'l str, values: &[(bool, &str)]) -> Option<Parts<'l>> {
    let mut rest = line;
    let mut parts = Parts::new();
    for (is_changed, text) in values {
        let (part, behind) = rest.split_at_checked(text.len())?;
        if part != *text {
            return None;
        }
        parts.push((*is_changed, part));
        rest = behind;
    }
    rest.is_empty().then_some(parts)
}
