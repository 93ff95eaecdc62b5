//! Checking a set against the disk before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::Outcome;
use crate::apply::intent::{Intent, Terrain, check_consistency};
use crate::apply::removed_dirs::RemovedDirs;
use crate::change_set::{Change, ChangeSet, Expected, Operation};
use crate::error::{Conflict, Difference, FsError, Refusal};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_state::{FileState, UNKNOWN_STAMP};
use crate::os::parallel;
use crate::policy::{Policy, check_mode_change};
use crate::records::SlotNumbers;
use crate::rel_path::RelPath;

/// What a set is checked against.
pub(crate) struct Planner<'g, 'a, D: Disk> {
    pub cache: &'g DirCache<'a, D>,
    pub policy: &'g Policy,
}

impl<D: Disk> Planner<'_, '_, D> {
    /// Checks every file against its expectation, and plans.
    pub(crate) fn plan(&self, set: &ChangeSet) -> Result<Intent, Outcome> {
        check_consistency(set).map_err(Outcome::RolledBack)?;
        let leaving = set.changes.iter().filter(|change| change.frees_path());
        let freed: BTreeSet<&RelPath> = leaving.map(|change| &change.path).collect();
        let removed = RemovedDirs::of(&set.changes);
        let links = set.changes.iter().filter(|change| {
            change.frees_path()
                && matches!(change.expected, Expected::Matches(base) if !base.kind.is_file())
        });
        let making_way = removed.tops().chain(links.map(|change| &change.path));
        self.cache.note_making_way(making_way.cloned());
        let answers =
            parallel::for_each(parallel::looks(self.cache.disk), set.changes.len(), |index| {
                self.check(&set.changes[index], &freed, &removed)
            });
        let mut conflicts = Vec::new();
        let mut seen = Seen::new(self.cache);
        let mut names = BTreeMap::new();
        for (change, answer) in set.changes.iter().zip(answers) {
            match answer {
                Ok(Ok(Some(identity))) => {
                    if let Some(other) = names.insert(identity, &change.path) {
                        return Err(Outcome::RolledBack(two_names(other, &change.path)));
                    }
                    seen.inodes.insert(change.path.clone(), identity.1);
                }
                Ok(Ok(None)) => {}
                Ok(Err(conflict)) => conflicts.push(conflict),
                Err(error) => return Err(Outcome::RolledBack(error)),
            }
        }
        for top in removed.tops() {
            match self.will_be_empty(top, &freed, &removed) {
                Ok(true) => {}
                Ok(false) => {
                    conflicts.push(Conflict { path: top.clone(), difference: Difference::NotEmpty })
                }
                Err(error) => return Err(Outcome::RolledBack(error)),
            }
        }
        if !conflicts.is_empty() {
            return Err(Outcome::Conflicts(conflicts));
        }
        Intent::plan(set, &seen).map_err(Outcome::RolledBack)
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
        let conflict =
            |path: &RelPath, difference| Ok(Err(Conflict { path: path.clone(), difference }));
        // A directory that is there already needs not be made.
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

    /// Refuses a path whose parents are no directories, unless the set removes the
    /// file that stands in the way.
    fn check_parents(&self, path: &RelPath, freed: &BTreeSet<&RelPath>) -> Result<(), FsError> {
        let mut parent = path.parent();
        while let Some(dir) = parent {
            match self.cache.dir(Some(&dir)) {
                Ok(_) => return Ok(()),
                Err(error) if error.is_absence() => {
                    let there = self.cache.stat(&dir)?;
                    if there.is_some_and(|stat| stat.kind != FileKind::Directory)
                        && !freed.contains(&dir)
                    {
                        let refusal = Refusal::ParentNotADirectory;
                        return Err(FsError::Refused { path: path.clone(), refusal });
                    }
                }
                Err(error) => return Err(error),
            }
            parent = dir.parent();
        }
        Ok(())
    }
}

/// Two hard links, two spellings in a directory that ignores case, or a directory that is
/// mounted twice: what one change does to the file, the other one does not expect.
fn two_names(one: &RelPath, other: &RelPath) -> FsError {
    FsError::BadChangeSet {
        reason: format!("`{one}` and `{other}` are one file: apply them one after the other"),
    }
}

/// Plans a set as it was planned when it was applied, without looking at what its files hold now.
///
/// What only the journal knew is unknown: stamps, the numbers of the files that were checked, and
/// which directories were made for the set, but for those that are missing now.
///
/// # Errors
/// [`FsError`] where the disk fails, or when the set contradicts itself.
pub(crate) fn rebuild<D: Disk>(
    cache: &DirCache<'_, D>,
    set: &ChangeSet,
    slots: SlotNumbers,
) -> Result<Intent, FsError> {
    check_consistency(set)?;
    let leaves =
        |change: &&Change| matches!(change.operation, Operation::Delete | Operation::Rename { .. });
    let were_files = set.changes.iter().filter(leaves).map(|change| change.path.clone()).collect();
    let mut intent = match Intent::plan(set, &Seen { were_files, ..Seen::new(cache) }) {
        // A directory on the way is a symlink or a mount by now: that is found once more, and
        // reported, before anything is done.
        Err(FsError::Refused { .. }) => Intent::plan(set, &Unseen)?,
        planned => planned?,
    };
    for unit in &mut intent.units {
        unit.stamp = UNKNOWN_STAMP;
    }
    match slots {
        SlotNumbers::Unknown => intent.rename_slots()?,
        SlotNumbers::ByPath => find_slots_above(cache, &mut intent)?,
    }
    Ok(intent)
}

/// The slot of a file whose directory was still to be made lies above that directory, which may be
/// there by now: the set made it then.
fn find_slots_above<D: Disk>(cache: &DirCache<'_, D>, intent: &mut Intent) -> Result<(), FsError> {
    for unit in &mut intent.units {
        let name = unit.slot.file_name().to_vec();
        let mut dir = unit.slot.parent();
        let mut candidate = Some(unit.slot.clone());
        while let Some(slot) = candidate {
            if matches!(cache.stat(&slot), Ok(Some(_))) {
                let mut made = if unit.staged().is_some() { unit.path.parent() } else { None };
                while let Some(dir) = made.filter(|dir| Some(dir) != slot.parent().as_ref()) {
                    made = dir.parent();
                    intent.new_dirs.push(dir);
                }
                unit.slot = slot;
                break;
            }
            candidate = match dir.take() {
                None => None,
                Some(inner) => {
                    dir = inner.parent();
                    Some(match &dir {
                        Some(dir) => dir.join(&name)?,
                        None => RelPath::parse(&name)?,
                    })
                }
            };
        }
    }
    intent.new_dirs.sort_by_key(|dir| (dir.components().count(), dir.clone()));
    intent.new_dirs.dedup();
    Ok(())
}

/// A disk that is not looked at.
struct Unseen;

impl Terrain for Unseen {
    fn new_stamp(&self) -> i64 {
        UNKNOWN_STAMP
    }

    fn inode(&self, _path: &RelPath) -> Option<u64> {
        None
    }

    fn is_directory(&self, _path: &RelPath) -> Result<bool, FsError> {
        Ok(true)
    }

    fn dir_mode(&self, _path: &RelPath) -> Result<Option<u32>, FsError> {
        Ok(None)
    }

    fn dir_inode(&self, _path: &RelPath) -> Result<Option<u64>, FsError> {
        Ok(None)
    }

    fn same_device(&self, _one: &RelPath, _other: &RelPath) -> Result<bool, FsError> {
        Ok(true)
    }
}

/// What planning needs, answered from the checks that were just made.
struct Seen<'g, 'a, D: Disk> {
    cache: &'g DirCache<'a, D>,
    inodes: BTreeMap<RelPath, u64>,
    /// Where files were that the set takes away: a directory there, and what is in it, came later.
    were_files: BTreeSet<RelPath>,
}

impl<'g, 'a, D: Disk> Seen<'g, 'a, D> {
    fn new(cache: &'g DirCache<'a, D>) -> Self {
        Self { cache, inodes: BTreeMap::new(), were_files: BTreeSet::new() }
    }
}

impl<D: Disk> Terrain for Seen<'_, '_, D> {
    fn new_stamp(&self) -> i64 {
        self.cache.disk.new_stamp()
    }

    fn inode(&self, path: &RelPath) -> Option<u64> {
        self.inodes.get(path).copied()
    }

    fn is_directory(&self, path: &RelPath) -> Result<bool, FsError> {
        let mut above = Some(path.clone());
        while let Some(here) = above.filter(|_| !self.were_files.is_empty()) {
            if self.were_files.contains(&here) {
                return Ok(false);
            }
            above = here.parent();
        }
        match self.cache.dir(Some(path)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absence() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn dir_mode(&self, path: &RelPath) -> Result<Option<u32>, FsError> {
        let stat = self.cache.stat(path)?;
        Ok(stat.filter(|stat| stat.kind == FileKind::Directory).map(|stat| stat.mode))
    }

    fn dir_inode(&self, path: &RelPath) -> Result<Option<u64>, FsError> {
        if !self.is_directory(path)? {
            return Ok(None);
        }
        let dir = self.cache.dir(Some(path))?;
        let identity = self.cache.disk.identity(&dir).map_err(FsError::io("look at", path))?;
        Ok(Some(identity.1))
    }

    fn same_device(&self, one: &RelPath, other: &RelPath) -> Result<bool, FsError> {
        let device = |path: &RelPath| {
            let mut parent = path.parent();
            loop {
                match self.cache.dir(parent.as_ref()) {
                    Ok(dir) => {
                        let identity = self.cache.disk.identity(&dir);
                        return identity
                            .map(|(device, _)| device)
                            .map_err(FsError::io("look at", path));
                    }
                    Err(error) if error.is_absence() && parent.is_some() => {
                        parent = parent.as_ref().and_then(RelPath::parent);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(device(one)? == device(other)?)
    }
}
