//! An intent's units and directories by their paths: a set may have a hundred thousand of them, so
//! nothing looks through all of them for each.

use std::collections::{HashMap, HashSet};

use crate::apply::intent::{Action, Intent, Unit, nearest_dir};
use crate::rel_path::RelPath;

/// An intent with what it names by path.
pub(crate) struct Lookup<'i> {
    new_dirs: HashSet<&'i RelPath>,
    inodes: HashMap<&'i RelPath, u64>,
    arriving: HashMap<&'i RelPath, Vec<&'i Unit>>,
    leaving: HashMap<&'i RelPath, Vec<&'i Unit>>,
    continuing: HashMap<&'i RelPath, &'i Unit>,
}

impl<'i> Lookup<'i> {
    pub(crate) fn new(intent: &'i Intent) -> Self {
        let mut lookup = Self {
            new_dirs: intent.new_dirs.iter().collect(),
            inodes: intent.dirs.iter().map(|(dir, inode)| (dir, *inode)).collect(),
            arriving: HashMap::new(),
            leaving: HashMap::new(),
            continuing: HashMap::new(),
        };
        for unit in &intent.units {
            if let Some(path) = unit.arrives_at() {
                lookup.arriving.entry(path).or_default().push(unit);
            }
            if unit.frees_path() {
                lookup.leaving.entry(&unit.path).or_default().push(unit);
            }
            if let Action::Create { like: Some(like), .. } = &unit.action {
                lookup.continuing.entry(like).or_insert(unit);
            }
        }
        lookup
    }

    /// Whether the set makes this directory.
    pub(crate) fn is_new_dir(&self, dir: &RelPath) -> bool {
        self.new_dirs.contains(dir)
    }

    /// The nearest directory above a path that the set does not make, with the number that its
    /// inode had, where that is known.
    pub(crate) fn known_dir(&self, path: &RelPath) -> Option<(RelPath, u64)> {
        let dir = nearest_dir(path, |dir| self.is_new_dir(dir))?;
        let inode = *self.inodes.get(&dir)?;
        Some((dir, inode))
    }

    /// The units that bring something to a path, in their order.
    pub(crate) fn arriving(&self, path: &RelPath) -> &[&'i Unit] {
        self.arriving.get(path).map_or(&[], Vec::as_slice)
    }

    /// The units that take the file at a path away, in their order.
    pub(crate) fn leaving(&self, path: &RelPath) -> &[&'i Unit] {
        self.leaving.get(path).map_or(&[], Vec::as_slice)
    }

    /// The unit whose new file takes over owner and attributes of the file at a path.
    pub(crate) fn continuing(&self, path: &RelPath) -> Option<&'i Unit> {
        self.continuing.get(path).copied()
    }
}
