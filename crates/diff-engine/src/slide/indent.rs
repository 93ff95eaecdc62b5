//! Rates locations between two lines as the edge of a change.
//!
//! The rules and weights are those of git's `xdiff/xdiffi.c`, "indent heuristic".

use crate::lines::Lines;

/// How far a change is moved for its indentation, in lines.
pub(super) const SLIDE_MAX: usize = 100;

/// The surroundings of a location between two lines. Indents are in columns; `None` is a blank line or
/// the end of the file.
pub(super) struct Split {
    at_end: bool,
    indent: Option<i32>,
    blanks_before: i32,
    indent_before: Option<i32>,
    blanks_after: i32,
    indent_after: Option<i32>,
}

impl Split {
    pub(super) fn at(lines: &Lines<'_>, split: usize) -> Self {
        let (blanks_before, indent_before) = blanks_and_indent((0..split).rev(), lines);
        let (blanks_after, indent_after) = blanks_and_indent(split + 1..lines.len(), lines);
        let at_end = split >= lines.len();
        Self {
            at_end,
            indent: if at_end { None } else { indent_of(lines.get(split)) },
            blanks_before,
            indent_before,
            blanks_after,
            indent_after,
        }
    }
}

/// How many blank lines come first, and the indent of the line after them.
fn blanks_and_indent(range: impl Iterator<Item = usize>, lines: &Lines<'_>) -> (i32, Option<i32>) {
    const BLANKS_MAX: i32 = 20;
    let mut blanks = 0;
    for at in range {
        if let Some(indent) = indent_of(lines.get(at)) {
            return (blanks, Some(indent));
        }
        blanks += 1;
        if blanks == BLANKS_MAX {
            return (blanks, Some(0));
        }
    }
    (blanks, None)
}

fn indent_of(line: &[u8]) -> Option<i32> {
    const INDENT_MAX: i32 = 200;
    const TAB_COLUMNS: i32 = 8;
    let mut indent = 0;
    for byte in line {
        match byte {
            b' ' => indent += 1,
            b'\t' => indent += TAB_COLUMNS - indent % TAB_COLUMNS,
            b'\n' | b'\r' | 0x0b | 0x0c => {}
            _ => return Some(indent),
        }
        if indent >= INDENT_MAX {
            return Some(INDENT_MAX);
        }
    }
    None
}

/// The rating of two locations together; less is better.
#[derive(Default)]
pub(super) struct Score {
    indent: i32,
    penalty: i32,
}

impl Score {
    pub(super) fn add(&mut self, split: &Split) {
        if split.indent_before.is_none() && split.blanks_before == 0 {
            self.penalty += 1;
        }
        if split.at_end {
            self.penalty += 21;
        }
        let blanks_after = match split.indent {
            None => 1 + split.blanks_after,
            Some(_) => 0,
        };
        let blanks = split.blanks_before + blanks_after;
        self.penalty += -30 * blanks + 6 * blanks_after;
        let indent = split.indent.or(split.indent_after);
        self.indent += indent.unwrap_or(-1);
        let (Some(indent), Some(before)) = (indent, split.indent_before) else {
            return;
        };
        let near_blank = blanks != 0;
        self.penalty += if indent > before {
            if near_blank { 10 } else { -4 }
        } else if indent == before {
            0
        } else if split.indent_after.is_some_and(|after| after > indent) {
            if near_blank { 17 } else { 24 }
        } else if near_blank {
            17
        } else {
            23
        };
    }

    pub(super) fn is_no_worse_than(&self, other: &Self) -> bool {
        const INDENT_WEIGHT: i32 = 60;
        let indents = (self.indent - other.indent).signum();
        INDENT_WEIGHT * indents + self.penalty - other.penalty <= 0
    }
}
