//! Checking a change set against the disk before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::consistency::check_consistency;
use crate::apply::planning::Facts;
use crate::apply::removed_dirs::RemovedDirs;
use crate::change_set::{Change, ChangeSet, Expected, Operation};
use crate::conflict::{Conflict, Difference};
use crate::contradiction::Contradiction;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_state::FileState;
use crate::os::parallel;
use crate::outcome::Outcome;
use crate::policy::{Policy, check_mode_change};
use crate::refusal::Refusal;
use crate::rel_path::RelPath;

/// What a set is checked against.
pub(crate) struct Checker<'g, 'a, D: Disk> {
    pub cache: &'g DirCache<'a, D>,
    pub policy: &'g Policy,
}

impl<D: Disk> Checker<'_, '_, D> {
    /// Checks every file against its expectation.
    ///
    /// # Errors
    /// [`Outcome::Conflicts`] where files are not what is expected, [`Outcome::RolledBack`] where
    /// the set is refused or the disk fails.
    pub(crate) fn check_all(&self, set: &ChangeSet) -> Result<Facts, Outcome> {
        check_consistency(set).map_err(Outcome::RolledBack)?;
        let leaving = set.changes.iter().filter(|change| change.frees_path());
        let freed: BTreeSet<&RelPath> = leaving.map(|change| &change.path).collect();
        let removed = RemovedDirs::of(&set.changes);
        let links = set.changes.iter().filter(|change| {
            change.frees_path()
                && matches!(change.expected, Expected::Matches(base) if !base.is_file())
        });
        let making_way = removed.tops().chain(links.map(|change| &change.path));
        self.cache.note_making_way(making_way.cloned());
        let answers =
            parallel::for_each(parallel::reads(self.cache.disk), set.changes.len(), |index| {
                self.check(&set.changes[index], &freed, &removed)
            });
        let mut conflicts = Vec::new();
        let mut facts = Facts::default();
        let mut names = BTreeMap::new();
        for (change, answer) in set.changes.iter().zip(answers) {
            match answer {
                Ok(Ok(Some(identity))) => {
                    if let Some(other) = names.insert(identity, &change.path) {
                        let (one, other) = (other.clone(), change.path.clone());
                        let error = Contradiction::OneFile { one, other }.into();
                        return Err(Outcome::RolledBack(error));
                    }
                    facts.inodes.insert(change.path.clone(), identity.1);
                }
                Ok(Ok(None)) => {}
                Ok(Err(conflict)) => conflicts.push(conflict),
                Err(error) => return Err(Outcome::RolledBack(error)),
            }
        }
        for top in removed.tops() {
            match self.will_be_empty(top, &freed, &removed) {
                Ok(true) => {}
                Ok(false) => conflicts.push(Conflict::at(top, Difference::NotEmpty)),
                Err(error) => return Err(Outcome::RolledBack(error)),
            }
        }
        if !conflicts.is_empty() {
            return Err(Outcome::Conflicts(conflicts));
        }
        Ok(facts)
    }

    /// Whether a directory that makes way holds nothing but what the set takes away.
    fn will_be_empty(
        &self,
        top: &RelPath,
        freed: &BTreeSet<&RelPath>,
        removed: &RemovedDirs,
    ) -> Result<bool, FsError> {
        let below: BTreeSet<&RelPath> = removed.at_or_below(top).collect();
        let leaves = |(path, kind): &(RelPath, FileKind)| match kind {
            FileKind::Directory => below.contains(path),
            _ => freed.contains(path),
        };
        // What is no directory is found by its own change.
        Ok(self.cache.tree(top)?.is_none_or(|tree| tree.iter().all(leaves)))
    }

    fn check(
        &self,
        change: &Change,
        freed: &BTreeSet<&RelPath>,
        removed: &RemovedDirs,
    ) -> Result<Result<Option<(u64, u64)>, Conflict>, FsError> {
        self.policy.check_change(change)?;
        self.policy.check_place(self.cache, &change.path)?;
        self.check_parents(&change.path, freed)?;
        let state = match (&change.operation, change.expected) {
            (Operation::Write(_) | Operation::Delete, Expected::Matches(_)) => {
                self.cache.file_state_unless_busy(&change.path)?
            }
            _ => self.cache.file_state(&change.path)?,
        };
        let conflict = |path: &RelPath, difference| Ok(Err(Conflict::at(path, difference)));
        // An existing directory need not be made.
        let makes_dir = matches!(change.operation, Operation::MakeDir { .. });
        let makes_way = |path: &RelPath| makes_dir || removed.is_top(path);
        let identity = match change.expected {
            Expected::Absent if state == FileState::Absent || freed.contains(&change.path) => None,
            Expected::Absent if state.is_directory() && makes_way(&change.path) => None,
            Expected::Absent => return conflict(&change.path, Difference::Exists),
            Expected::Matches(base) => {
                if let Some(difference) = state.difference(&base) {
                    return conflict(&change.path, difference);
                }
                let FileState::File { stat, .. } = state else {
                    return conflict(&change.path, Difference::Kind);
                };
                self.policy.check_file(&change.path, &stat)?;
                if matches!(change.operation, Operation::SetMode { .. }) {
                    check_mode_change(&change.path, &stat)?;
                }
                state.inode()
            }
            Expected::Directory { mode } => match self.cache.stat(&change.path)? {
                None => return conflict(&change.path, Difference::Missing),
                Some(stat) if stat.kind != FileKind::Directory => {
                    return conflict(&change.path, Difference::Kind);
                }
                Some(stat) if stat.mode != mode => {
                    return conflict(&change.path, Difference::Mode);
                }
                Some(_) => None,
            },
        };
        if let Operation::Rename { to, .. } = &change.operation {
            self.policy.check_place(self.cache, to)?;
            self.check_parents(to, freed)?;
            let there = if freed.contains(to) { None } else { self.cache.stat(to)? };
            if there.is_some_and(|stat| stat.kind != FileKind::Directory || !makes_way(to)) {
                return conflict(to, Difference::Exists);
            }
        }
        Ok(Ok(identity))
    }

    /// Refuses a path whose parents are not directories, unless the set removes the
    /// file that is in the way.
    fn check_parents(&self, path: &RelPath, freed: &BTreeSet<&RelPath>) -> Result<(), FsError> {
        for dir in path.dirs_above() {
            if self.cache.dir(Some(&dir)).if_there()?.is_some() {
                return Ok(());
            }
            let there = self.cache.stat(&dir)?;
            if there.is_some_and(|stat| stat.kind != FileKind::Directory) && !freed.contains(&dir) {
                return Err(FsError::refused(path, Refusal::ParentNotADirectory));
            }
        }
        Ok(())
    }
}
