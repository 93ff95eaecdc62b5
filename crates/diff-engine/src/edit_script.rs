//! The regions that change between two contents, checked against both.

use std::ops::Range;

use strategy_api::Op;

use crate::error::ScriptError;
use crate::lines::Lines;

/// The changes from one content to another, validated against both.
///
/// Only the changed regions are stored, in order and separated by kept lines, so that equal scripts
/// are equal values however the strategy divided them. In each, the old lines are removed before the
/// new ones are inserted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EditScript {
    changes: Vec<Change>,
    old_len: u32,
    new_len: u32,
}

/// A region in which new lines replace old ones. One of the ranges may be empty, but not both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The old lines, counted from 0.
    pub old: Range<u32>,
    /// The new lines, counted from 0.
    pub new: Range<u32>,
}

impl EditScript {
    /// Validates the answer of a strategy, in time linear in the contents.
    ///
    /// Nothing about `ops` is trusted: kept lines are compared by their bytes.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn validated(ops: &[Op], old: &Lines<'_>, new: &Lines<'_>) -> Result<Self, ScriptError> {
        let (old_len, new_len) = (old.len() as u32, new.len() as u32);
        let lines = old.len() + new.len();
        if ops.len() > lines {
            return Err(ScriptError::TooManyOps { ops: ops.len(), lines });
        }
        let mut script = Self { changes: Vec::new(), old_len, new_len };
        let (mut old_at, mut new_at) = (0_u32, 0_u32);
        for (at, op) in ops.iter().enumerate() {
            let (old_lines, new_lines) = match op.kind {
                Op::KEEP => (op.len, op.len),
                Op::DELETE => (op.len, 0),
                Op::INSERT => (0, op.len),
                kind => return Err(ScriptError::UnknownKind { at, kind }),
            };
            if op.len == 0 {
                return Err(ScriptError::Empty { at });
            }
            if (op.old, op.new) != (old_at, new_at) {
                return Err(ScriptError::NotContiguous { at });
            }
            if old_lines > old_len - old_at || new_lines > new_len - new_at {
                return Err(ScriptError::OutOfRange { at });
            }
            let change =
                Change { old: old_at..old_at + old_lines, new: new_at..new_at + new_lines };
            (old_at, new_at) = (change.old.end, change.new.end);
            if op.kind == Op::KEEP {
                check_equal(&change, old, new)?;
            } else {
                script.push(change);
            }
        }
        if (old_at, new_at) != (old_len, new_len) {
            return Err(ScriptError::Incomplete { old: old_len - old_at, new: new_len - new_at });
        }
        Ok(script)
    }

    /// The script that keeps `len` lines and changes none.
    pub fn unchanged(len: usize) -> Self {
        Self { changes: Vec::new(), old_len: len as u32, new_len: len as u32 }
    }

    /// The script that replaces everything.
    pub fn replacing(old_len: usize, new_len: usize) -> Self {
        let whole = Change { old: 0..old_len as u32, new: 0..new_len as u32 };
        Self {
            old_len: whole.old.end,
            new_len: whole.new.end,
            changes: if old_len + new_len == 0 { Vec::new() } else { vec![whole] },
        }
    }

    /// The changed regions, in order, at least one kept line apart.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing changes.
    pub fn is_unchanged(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many lines the old content has.
    pub(crate) fn old_len(&self) -> u32 {
        self.old_len
    }

    /// How many lines are added.
    pub fn added(&self) -> u64 {
        self.changes.iter().map(|change| change.new.len() as u64).sum()
    }

    /// How many lines are removed.
    pub fn removed(&self) -> u64 {
        self.changes.iter().map(|change| change.old.len() as u64).sum()
    }

    /// Replaces the changes; the caller keeps the script valid.
    pub(crate) fn set_changes(&mut self, changes: Vec<Change>) {
        self.changes = changes;
    }

    /// The script of contents with additional equal lines before and after.
    pub(crate) fn within(mut self, lines_before: u64, lines_behind: u64) -> Self {
        let before = lines_before as u32;
        for change in &mut self.changes {
            for range in [&mut change.old, &mut change.new] {
                *range = range.start + before..range.end + before;
            }
        }
        let around = before + lines_behind as u32;
        self.old_len += around;
        self.new_len += around;
        self
    }

    fn push(&mut self, change: Change) {
        match self.changes.last_mut() {
            Some(last) if last.old.end == change.old.start && last.new.end == change.new.start => {
                last.old.end = change.old.end;
                last.new.end = change.new.end;
            }
            _ => self.changes.push(change),
        }
    }
}

/// Compares a kept run at once, and searches for the line that differs only if there is one.
fn check_equal(kept: &Change, old: &Lines<'_>, new: &Lines<'_>) -> Result<(), ScriptError> {
    let (old_from, new_from) = (kept.old.start as usize, kept.new.start as usize);
    let (old_to, new_to) = (kept.old.end as usize, kept.new.end as usize);
    if old.range(old_from, old_to) == new.range(new_from, new_to) {
        return Ok(());
    }
    let culprit = (0..kept.old.len())
        .find(|step| old.get(old_from + step) != new.get(new_from + step))
        .unwrap_or(0) as u32;
    Err(ScriptError::NotEqual { old: kept.old.start + culprit, new: kept.new.start + culprit })
}
