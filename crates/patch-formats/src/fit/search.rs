//! Finds runs of lines in time that does not depend on how often they nearly match.
//!
//! Lines become numbers, and runs of them are found by Knuth, Morris and Pratt's algorithm ("Fast
//! pattern matching in strings", 1977): each line of the file is compared at most twice.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use crate::error::MisfitError;
use crate::limits::SEARCH_STEPS_MAX;

/// The steps that are left for one file.
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(SEARCH_STEPS_MAX)
    }

    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), MisfitError> {
        let what = "the number of lines compared to find hunks";
        let left = self.0.checked_sub(steps);
        self.0 = left.ok_or(MisfitError::Limit { what, max: SEARCH_STEPS_MAX })?;
        Ok(())
    }
}

/// A file's lines as numbers, equal where the lines are.
pub(crate) struct Table<'a> {
    numbers: HashMap<Cow<'a, [u8]>, u32>,
    pub(crate) lines: Vec<u32>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(lines: impl IntoIterator<Item = Cow<'a, [u8]>>) -> Self {
        let mut table = Self { numbers: HashMap::new(), lines: Vec::new() };
        for line in lines {
            let next = u32::try_from(table.numbers.len()).unwrap_or(u32::MAX);
            table.lines.push(*table.numbers.entry(line).or_insert(next));
        }
        table
    }

    /// The number of a line; `None` if the file has no such line.
    pub(crate) fn number(&self, line: &[u8]) -> Option<u32> {
        self.numbers.get(line).copied()
    }

    /// Calls `take` with each match of this run within a range of lines, from the top, until `take`
    /// returns false. Returns the longest head of the run that matched, the topmost one of those.
    pub(crate) fn find(
        &self,
        run: &[u32],
        within: Range<usize>,
        budget: &mut Budget,
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Head, MisfitError> {
        let mut longest = Head { at: within.start, length: 0 };
        if run.is_empty() {
            return Ok(longest);
        }
        budget.spend(within.len() + run.len())?;
        let borders = borders(run);
        let mut matched = 0;
        for (at, line) in self.lines.iter().enumerate().take(within.end).skip(within.start) {
            while matched > 0 && run[matched] != *line {
                matched = borders[matched - 1];
            }
            if run[matched] == *line {
                matched += 1;
            }
            if matched > longest.length {
                longest = Head { at: at + 1 - matched, length: matched };
            }
            if matched == run.len() {
                if !take(at + 1 - run.len()) {
                    return Ok(longest);
                }
                matched = borders[matched - 1];
            }
        }
        Ok(longest)
    }
}

/// A head of a run of lines, and where it matches.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    /// Its first line.
    pub(crate) at: usize,
    /// How many lines it has.
    pub(crate) length: usize,
}

/// For each head of the run, how long its longest proper head is that is also its tail.
fn borders(run: &[u32]) -> Vec<usize> {
    let mut borders = vec![0; run.len()];
    let mut length = 0;
    for at in 1..run.len() {
        while length > 0 && run[at] != run[length] {
            length = borders[length - 1];
        }
        if run[at] == run[length] {
            length += 1;
        }
        borders[at] = length;
    }
    borders
}
