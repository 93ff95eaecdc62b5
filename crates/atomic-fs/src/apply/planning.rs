//! From a checked change set to an intent: units, their slots, and the directories to make.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::apply::intent::{Action, DirBelow, Intent, Unit, lies_in, nearest_dir, note_above};
use crate::apply::removed_dirs::RemovedDirs;
use crate::apply::slot_name::slot_name;
use crate::change_set::{Change, ChangeSet, EmptiedDirs, Expected, Operation};
use crate::contradiction::Contradiction;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_state::UNKNOWN_STAMP;
use crate::rel_path::RelPath;

/// What is known of the files before the set is planned.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The inodes of the files that have passed their check.
    pub inodes: BTreeMap<RelPath, u64>,
    /// Where files were that the set takes away: a directory there, and what is in it, came later.
    pub were_files: HashSet<RelPath>,
}

impl Facts {
    /// 0 where it is unknown.
    fn inode(&self, path: &RelPath) -> u64 {
        self.inodes.get(path).copied().unwrap_or(0)
    }
}

/// Turns a checked change set into units with slots.
///
/// A rename that also changes content, or that crosses a device, becomes a
/// deletion and a creation that takes over the file's metadata. A slot lies
/// beside its file, or, where the directory is still to be made, in the nearest
/// directory that is there.
///
/// Without a `disk` nothing is looked at: every directory counts as there.
///
/// # Errors
/// [`FsError`] where the disk fails, or when a change does not fit what it expects.
pub(crate) fn plan<D: Disk>(
    set: &ChangeSet,
    facts: &Facts,
    disk: Option<&DirCache<'_, D>>,
) -> Result<Intent, FsError> {
    let intent = Intent { set: set.id.clone(), ..Intent::default() };
    let removed = RemovedDirs::of(&set.changes);
    let mut planning =
        Planning { intent, new_dirs: HashSet::new(), removed: &removed, facts, disk };
    // By path, so that whoever rebuilds the intent numbers the slots alike. What leaves a path
    // comes before what arrives there.
    let mut steps: Vec<Step<'_>> = set.changes.iter().map(Step::Change).collect();
    steps.extend(removed.tops().map(Step::RemoveDir));
    steps.sort_by(|one, other| one.order().cmp(&other.order()));
    for step in steps {
        match step {
            Step::Change(change) => planning.add(change)?,
            Step::RemoveDir(path) => planning.add_removed(path)?,
        }
    }
    if set.emptied_dirs == EmptiedDirs::Remove {
        planning.intent.emptied = planning.may_be_emptied(&set.changes)?;
    }
    planning.intent.new_dirs.sort_by_key(|dir| dir.components().count());
    planning.intent.dirs = planning.dirs_with_inodes()?;
    Ok(planning.intent)
}

/// An intent that is being planned.
struct Planning<'t, 'a, D: Disk> {
    intent: Intent,
    /// The same directories as the intent's, to look one up: a set may make thousands.
    new_dirs: HashSet<RelPath>,
    removed: &'t RemovedDirs,
    facts: &'t Facts,
    disk: Option<&'t DirCache<'a, D>>,
}

impl<D: Disk> Planning<'_, '_, D> {
    fn add(&mut self, change: &Change) -> Result<(), FsError> {
        let path = &change.path;
        match (&change.operation, change.expected) {
            (Operation::Write(staged), Expected::Matches(base)) => {
                let inode = self.facts.inode(path);
                self.push(path, Action::Replace { base, inode, staged: *staged })
            }
            (Operation::Write(staged), Expected::Absent) => {
                self.push(path, Action::Create { staged: *staged, like: None })
            }
            (Operation::Delete, Expected::Matches(base)) => {
                self.push(path, Action::Delete { base })
            }
            (Operation::SetMode { mode }, Expected::Matches(base)) => {
                self.push(path, Action::SetMode { base, mode: *mode })
            }
            (Operation::Rename { to, staged }, Expected::Matches(base)) => {
                let moved = staged.is_none() && self.same_device(path, to)?;
                if moved {
                    let inode = self.facts.inode(path);
                    self.add_parents(to)?;
                    return self.push(path, Action::Move { base, inode, to: to.clone() });
                }
                let staged = staged.unwrap_or(base);
                self.push(path, Action::Delete { base })?;
                let like = (staged.kind() == base.kind()).then(|| path.clone());
                self.push(to, Action::Create { staged, like })
            }
            (Operation::MakeDir { mode }, Expected::Absent) => {
                if self.is_directory(path)? {
                    return Ok(());
                }
                self.add_parents(path)?;
                if self.new_dirs.insert(path.clone()) {
                    self.intent.new_dirs.push(path.clone());
                }
                self.intent.new_modes.extend(mode.map(|mode| (path.clone(), mode)));
                Ok(())
            }
            // One step for each of the topmost.
            (Operation::RemoveDir, Expected::Directory { .. }) => Ok(()),
            _ => Err(Contradiction::Expectation { path: path.clone() }.into()),
        }
    }

    fn push(&mut self, path: &RelPath, action: Action) -> Result<(), FsError> {
        let beside = self.add_parents(path)?;
        let name = slot_name(&self.intent.set, self.intent.units.len());
        let slot = RelPath::in_dir(beside.as_ref(), name.as_bytes())?;
        let stamp = self.disk.map_or(UNKNOWN_STAMP, |cache| cache.disk.new_stamp());
        self.intent.units.push(Unit { path: path.clone(), slot, action, stamp });
        Ok(())
    }

    /// Plans that a directory is taken away, with those in it.
    fn add_removed(&mut self, path: &RelPath) -> Result<(), FsError> {
        let mut dirs = Vec::new();
        for dir in self.removed.at_or_below(path) {
            dirs.push((dir.clone(), self.dir_mode(dir)?));
        }
        self.push(path, Action::RemoveDir { dirs })
    }

    /// The directories above files that leave into which nothing comes.
    fn may_be_emptied(&self, changes: &[Change]) -> Result<Vec<DirBelow>, FsError> {
        let units = &self.intent.units;
        let leaving = units.iter().filter(|unit| {
            let is_file = unit.frees_path() && unit.base().is_some();
            is_file && !self.removed.has_removed(&unit.path)
        });
        let mut above: HashSet<RelPath> = HashSet::new();
        for unit in leaving {
            note_above(&unit.path, &mut above);
        }
        let arrivals = units.iter().filter_map(Unit::arrives_at).chain(&self.intent.new_dirs);
        // A directory that the set makes stays, also where it was there already.
        let makes = |change: &&Change| matches!(change.operation, Operation::MakeDir { .. });
        let made = changes.iter().filter(makes).map(|change| Some(change.path.clone()));
        for mut dir in arrivals.map(RelPath::parent).chain(made) {
            while let Some(path) = dir.filter(|dir| above.remove(dir)) {
                dir = path.parent();
            }
        }
        let above: BTreeSet<RelPath> = above.into_iter().collect();
        // A parent's path sorts before those below it.
        above.into_iter().map(|dir| Ok((dir.clone(), self.dir_mode(&dir)?))).collect()
    }

    /// Notes which parents of `path` are still to be made; returns the nearest one
    /// that is there and stays, `None` for the root.
    fn add_parents(&mut self, path: &RelPath) -> Result<Option<RelPath>, FsError> {
        for dir in path.dirs_above() {
            if self.removed.has_removed(&dir) || self.new_dirs.contains(&dir) {
                continue;
            }
            if self.is_directory(&dir)? {
                return Ok(Some(dir));
            }
            self.intent.new_dirs.push(dir.clone());
            self.new_dirs.insert(dir);
        }
        Ok(None)
    }

    /// The directories in which something changes, with their inodes' numbers.
    fn dirs_with_inodes(&self) -> Result<Vec<(RelPath, u64)>, FsError> {
        let units = &self.intent.units;
        let goals = units.iter().filter_map(|unit| match &unit.action {
            Action::Move { to, .. } => Some(to),
            _ => None,
        });
        let mut dirs: BTreeSet<RelPath> =
            units.iter().filter_map(|unit| unit.slot.parent()).collect();
        dirs.extend(goals.filter_map(|to| nearest_dir(to, |dir| self.new_dirs.contains(dir))));
        let mut known = Vec::with_capacity(dirs.len());
        for dir in dirs {
            if let Some(inode) = self.dir_inode(&dir)? {
                known.push((dir, inode));
            }
        }
        Ok(known)
    }

    /// Whether a directory is there.
    fn is_directory(&self, path: &RelPath) -> Result<bool, FsError> {
        let Some(cache) = self.disk else { return Ok(true) };
        if lies_in(path, &self.facts.were_files) {
            return Ok(false);
        }
        Ok(cache.dir(Some(path)).if_there()?.is_some())
    }

    /// A directory's permission bits; `None` where no directory is.
    fn dir_mode(&self, path: &RelPath) -> Result<Option<u32>, FsError> {
        let Some(cache) = self.disk else { return Ok(None) };
        let stat = cache.stat(path)?;
        Ok(stat.filter(|stat| stat.kind == FileKind::Directory).map(|stat| stat.mode))
    }

    /// The number of a directory's inode; `None` where no directory is.
    fn dir_inode(&self, path: &RelPath) -> Result<Option<u64>, FsError> {
        let Some(cache) = self.disk else { return Ok(None) };
        if !self.is_directory(path)? {
            return Ok(None);
        }
        let dir = cache.dir(Some(path))?;
        let identity = cache.disk.identity(&dir).map_err(FsError::io("look at", path))?;
        Ok(Some(identity.1))
    }

    /// Whether a file can move between the two paths' directories in one rename.
    fn same_device(&self, one: &RelPath, other: &RelPath) -> Result<bool, FsError> {
        let Some(cache) = self.disk else { return Ok(true) };
        let device = |path: &RelPath| {
            let (_, dir) = cache.nearest_dir(path.parent())?;
            let identity = cache.disk.identity(&dir).map_err(FsError::io("look at", path))?;
            Ok::<_, FsError>(identity.0)
        };
        Ok(device(one)? == device(other)?)
    }
}

/// One of a set's steps before it has a slot.
enum Step<'s> {
    Change(&'s Change),
    RemoveDir(&'s RelPath),
}

impl Step<'_> {
    fn order(&self) -> (&RelPath, bool) {
        match self {
            Self::Change(change) => (&change.path, change.expected == Expected::Absent),
            Self::RemoveDir(path) => (path, false),
        }
    }
}
