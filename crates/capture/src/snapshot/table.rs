//! Entries in the order of their paths, without an allocation for each.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Range;

use crate::stat::Stat;

/// Entries by their paths. A workspace has many, and a snapshot is read by each command.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// The paths, one after the other.
    paths: Vec<u8>,
    /// In the order of the paths, of which each is there once.
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    path: Range<usize>,
    stat: Stat,
}

impl Table {
    /// Sorts entries. Of those with one path the last counts.
    pub(super) fn new(mut entries: Vec<(Box<[u8]>, Stat)>) -> Self {
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let bytes = entries.iter().map(|(path, _)| path.len()).sum();
        let mut table =
            Self { paths: Vec::with_capacity(bytes), rows: Vec::with_capacity(entries.len()) };
        let mut entries = entries.into_iter().peekable();
        while let Some((path, stat)) = entries.next() {
            if entries.peek().is_none_or(|(next, _)| *next != path) {
                table.add(&path, stat);
            }
        }
        table
    }

    /// Adds an entry whose path comes after all others; none if it does not.
    pub(super) fn push(&mut self, path: &[u8], stat: Stat) -> Option<()> {
        let last = self.rows.last().map(|last| &self.paths[last.path.clone()]);
        if last.is_some_and(|last| last >= path) {
            return None;
        }
        self.add(path, stat);
        Some(())
    }

    fn add(&mut self, path: &[u8], stat: Stat) {
        let begin = self.paths.len();
        self.paths.extend_from_slice(path);
        self.rows.push(Row { path: begin..self.paths.len(), stat });
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&Stat> {
        let at = self.rows.binary_search_by(|row| self.path(row).cmp(path)).ok()?;
        Some(&self.rows[at].stat)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Stat)> {
        self.rows.iter().map(|row| (self.path(row), &row.stat))
    }

    /// Every entry below a directory, at any depth.
    pub(super) fn below(&self, directory: &[u8]) -> impl Iterator<Item = (&[u8], &Stat)> {
        let prefix = [directory, b"/"].concat();
        let begin = self.rows.partition_point(|row| *self.path(row) < *prefix);
        let rows = self.rows[begin..].iter().map(|row| (self.path(row), &row.stat));
        rows.take_while(move |(path, _)| path.starts_with(&prefix))
    }

    fn path(&self, row: &Row) -> &[u8] {
        &self.paths[row.path.clone()]
    }
}

/// Both in the order of the paths. An edit takes the place of the entry at its path; none removes it.
pub(super) fn merged<'e>(
    entries: impl Iterator<Item = (&'e [u8], &'e Stat)>,
    edits: impl Iterator<Item = (&'e [u8], Option<&'e Stat>)>,
) -> impl Iterator<Item = (&'e [u8], &'e Stat)> {
    let (mut entries, mut edits) = (entries.peekable(), edits.peekable());
    std::iter::from_fn(move || {
        loop {
            match order(&mut entries, &mut edits) {
                Ordering::Less => return entries.next(),
                Ordering::Equal => drop(entries.next()),
                Ordering::Greater => {
                    if let (path, Some(stat)) = edits.next()? {
                        return Some((path, stat));
                    }
                }
            }
        }
    })
}

/// Which comes first: less for an entry, greater for an edit.
fn order<'e>(
    entries: &mut Peekable<impl Iterator<Item = (&'e [u8], &'e Stat)>>,
    edits: &mut Peekable<impl Iterator<Item = (&'e [u8], Option<&'e Stat>)>>,
) -> Ordering {
    match (entries.peek(), edits.peek()) {
        (Some((entry, _)), Some((edit, _))) => entry.cmp(edit),
        (Some(_), None) => Ordering::Less,
        (None, _) => Ordering::Greater,
    }
}
