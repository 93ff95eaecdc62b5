//! Which directories a set takes away: this follows from its changes alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::change_set::{Change, Operation};
use crate::rel_path::RelPath;

/// Directories that are gone once the set is on disk: those that it removes, those that make way
/// for a file that comes to their path, and those below them that it empties.
///
/// Found without a look at the disk, so that recovery, which rebuilds the set's intent, finds the same.
#[derive(Debug, Default)]
pub(crate) struct RemovedDirs {
    /// Those that lie in none of the others, each with itself and the others in it.
    tops: BTreeMap<RelPath, BTreeSet<RelPath>>,
}

impl RemovedDirs {
    pub(crate) fn of(changes: &[Change]) -> Self {
        let leaving: Vec<&Change> = changes.iter().filter(|change| change.frees_path()).collect();
        let above_leaving: BTreeSet<RelPath> =
            leaving.iter().flat_map(|change| change.path.dirs_above()).collect();
        // What comes to a path below which something leaves comes in place of a directory.
        let makes_way = |path: &&RelPath| above_leaving.contains(*path);
        let arriving = changes
            .iter()
            .filter(|change| !matches!(change.operation, Operation::MakeDir { .. }))
            .filter_map(Change::arrives_at)
            .filter(makes_way);
        let explicit = leaving.iter().filter(|change| change.operation == Operation::RemoveDir);
        let removed: BTreeSet<&RelPath> =
            explicit.map(|change| &change.path).chain(arriving).collect();
        let mut found = Self::default();
        // A directory sorts before what is in it.
        for path in &removed {
            match found.top_of(path).cloned() {
                Some(top) => found.tops.entry(top).or_default().insert((*path).clone()),
                None => found.tops.entry((*path).clone()).or_default().insert((*path).clone()),
            };
        }
        for change in leaving {
            let Some(top) = found.top_of(&change.path).cloned() else { continue };
            let below = change.path.dirs_above().filter(|dir| dir.starts_with(&top));
            let below = below.collect::<Vec<_>>();
            found.tops.entry(top).or_default().extend(below);
        }
        found
    }

    /// Those that lie in none of the others.
    pub(crate) fn tops(&self) -> impl Iterator<Item = &RelPath> {
        self.tops.keys()
    }

    /// One of these and those below it, outermost first.
    pub(crate) fn at_or_below(&self, top: &RelPath) -> impl Iterator<Item = &RelPath> {
        self.tops.get(top).into_iter().flatten()
    }

    /// Whether one is at a path, or above it.
    pub(crate) fn has_removed(&self, path: &RelPath) -> bool {
        self.top_of(path).is_some()
    }

    /// Whether one that lies in none of the others is at a path.
    pub(crate) fn is_top(&self, path: &RelPath) -> bool {
        self.tops.contains_key(path)
    }

    fn top_of(&self, path: &RelPath) -> Option<&RelPath> {
        let at = self.tops.get_key_value(path).map(|(top, _)| top);
        let top = |dir: RelPath| self.tops.get_key_value(&dir).map(|(top, _)| top);
        at.or_else(|| path.dirs_above().find_map(top))
    }
}
