//! What is about to be swapped: the durable form of a change set.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::apply::lookup::nearest_dir;
use crate::apply::removed_dirs::RemovedDirs;
use crate::change_set::{Change, ChangeSet, EmptiedDirs, Expected, Operation};
use crate::content::Fingerprint;
use crate::error::FsError;
use crate::rel_path::RelPath;

/// The first bytes of every slot's name; what follows is the set's id and the
/// unit's number, and `.tmp` ends it.
pub(crate) const SLOT_PREFIX: &str = ".greenroom-";
pub(crate) const SLOT_SUFFIX: &str = ".tmp";
/// Comes before the suffix in the name that a file has while its slot arrives.
pub(crate) const ASIDE_MARKER: &str = ".aside";
/// The same in the name of a slot that recovery is still writing.
pub(crate) const PART_MARKER: &str = ".part";
/// Ends the set's id in the slots of an intent that was rebuilt for a set whose slots may be
/// numbered otherwise. No set's id holds a dot.
const REBUILT_MARKER: &str = ".r";

/// Whether a name can only be a slot of Greenroom's.
pub fn is_slot_name(name: &[u8]) -> bool {
    name.starts_with(SLOT_PREFIX.as_bytes()) && name.ends_with(SLOT_SUFFIX.as_bytes())
}

/// The set that a slot belongs to, by the slot's name.
pub fn set_of_slot(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let mut rest = name.strip_prefix(SLOT_PREFIX)?.strip_suffix(SLOT_SUFFIX)?;
    for marker in [ASIDE_MARKER, PART_MARKER] {
        rest = rest.strip_suffix(marker).unwrap_or(rest);
    }
    let (set, unit) = rest.rsplit_once('-')?;
    let is_number = !unit.is_empty() && unit.bytes().all(|byte| byte.is_ascii_digit());
    let set = set.strip_suffix(REBUILT_MARKER).unwrap_or(set);
    (is_number && is_set_id(set)).then_some(set)
}

fn slot_name(set: &str, number: usize) -> String {
    format!("{SLOT_PREFIX}{set}-{number}{SLOT_SUFFIX}")
}

/// Whether a text can name a change set: it becomes a part of files' names.
pub(crate) fn is_set_id(text: &str) -> bool {
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(well_formed)
}

/// Everything that recovery needs to finish or to undo a change set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The caller's id of the set.
    pub set: String,
    /// Directories to make, outermost first.
    pub new_dirs: Vec<RelPath>,
    /// What happens, one unit for each file.
    pub units: Vec<Unit>,
    /// The directories below the root in which files change, with their inodes' numbers. An older
    /// version noted none.
    #[serde(default)]
    pub dirs: Vec<(RelPath, u64)>,
    /// The permission bits of directories to make, where they are not those of a plain mkdir.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_modes: Vec<(RelPath, u32)>,
    /// Directories that the set may leave empty and that are then removed, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emptied: Vec<DirBelow>,
}

/// A directory, and its permission bits where they are known.
pub(crate) type DirBelow = (RelPath, Option<u32>);

/// One file's part of a set, with the slot it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unit {
    /// The file.
    pub path: RelPath,
    /// The name that holds the new content before the swap, or the old one after.
    pub slot: RelPath,
    /// What is done with the two.
    pub action: Action,
    /// The time of modification that the slot is given, by which a file that the set brought in
    /// is told from one with the same content that a user put there.
    pub stamp: i64,
}

/// How a unit changes its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// The slot holds new content and is exchanged with the file. The inode is the one that
    /// was checked; it tells a file that was never exchanged from one with the same content.
    Replace { base: Fingerprint, inode: u64, staged: Fingerprint },
    /// The slot holds new content and becomes the file. `like` names the file whose
    /// owner and attributes it takes, when it continues one.
    Create { staged: Fingerprint, like: Option<RelPath> },
    /// The file becomes the slot.
    Delete { base: Fingerprint },
    /// The file becomes the slot, and the slot becomes `to`.
    Move { base: Fingerprint, inode: u64, to: RelPath },
    /// The file's permission bits change where it is.
    SetMode { base: Fingerprint, mode: u32 },
    /// The directory becomes the slot, with the empty ones in it. `dirs` are its path and theirs,
    /// outermost first.
    RemoveDir { dirs: Vec<DirBelow> },
}

impl Action {
    /// Tells the kinds apart.
    fn kind(&self) -> u8 {
        match self {
            Self::Replace { .. } => 0,
            Self::Create { .. } => 1,
            Self::Delete { .. } => 2,
            Self::Move { .. } => 3,
            Self::SetMode { .. } => 4,
            Self::RemoveDir { .. } => 5,
        }
    }

    /// The same change, whatever the number of the file that was checked, and the bits of the
    /// directories.
    fn is_alike(&self, other: &Self) -> bool {
        let mut own = self.clone();
        match &mut own {
            Self::Replace { inode, .. } | Self::Move { inode, .. } => *inode = 0,
            Self::RemoveDir { dirs } => dirs.iter_mut().for_each(|(_, mode)| *mode = None),
            _ => {}
        }
        own == *other
    }
}

impl Unit {
    /// The name under which recovery writes the slot anew.
    pub(crate) fn part(&self) -> RelPath {
        self.beside_slot(PART_MARKER)
    }

    /// The slot's name with a marker in it.
    pub(crate) fn beside_slot(&self, marker: &str) -> RelPath {
        let slot = self.slot.file_name();
        let stem = slot.strip_suffix(SLOT_SUFFIX.as_bytes()).unwrap_or(slot);
        let name = [stem, marker.as_bytes(), SLOT_SUFFIX.as_bytes()].concat();
        match self.slot.parent() {
            Some(dir) => dir.join(&name),
            None => RelPath::parse(&name),
        }
        .expect("a slot's name with a few more letters is a name")
    }

    /// The content that the slot must hold before the swaps begin, if any.
    pub(crate) fn staged(&self) -> Option<Fingerprint> {
        match &self.action {
            Action::Replace { staged, .. } | Action::Create { staged, .. } => Some(*staged),
            Action::Delete { .. }
            | Action::Move { .. }
            | Action::SetMode { .. }
            | Action::RemoveDir { .. } => None,
        }
    }

    /// The content the file must have before the swap, if it must be there.
    pub(crate) fn base(&self) -> Option<Fingerprint> {
        match &self.action {
            Action::Replace { base, .. }
            | Action::Delete { base }
            | Action::Move { base, .. }
            | Action::SetMode { base, .. } => Some(*base),
            Action::Create { .. } | Action::RemoveDir { .. } => None,
        }
    }

    /// Whether its path holds a symbolic link before or after.
    pub(crate) fn has_link(&self) -> bool {
        [self.base(), self.staged()].into_iter().flatten().any(|it| !it.kind.is_file())
    }

    /// The path at which something comes to be that was not there.
    pub(crate) fn arrives_at(&self) -> Option<&RelPath> {
        match &self.action {
            Action::Create { .. } => Some(&self.path),
            Action::Move { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether the unit takes its file or directory away from its path.
    pub(crate) fn frees_path(&self) -> bool {
        matches!(
            self.action,
            Action::Delete { .. } | Action::Move { .. } | Action::RemoveDir { .. }
        )
    }
}

/// What the planner needs to know of the disk.
pub(crate) trait Terrain {
    /// As [`Disk::new_stamp`](crate::Disk::new_stamp).
    fn new_stamp(&self) -> i64;
    /// The inode of the file at a path that has passed its check.
    fn inode(&self, path: &RelPath) -> Option<u64>;
    /// Whether a directory is there.
    fn is_directory(&self, path: &RelPath) -> Result<bool, FsError>;
    /// A directory's permission bits; `None` where no directory is.
    fn dir_mode(&self, path: &RelPath) -> Result<Option<u32>, FsError>;
    /// The number of a directory's inode; `None` where no directory is.
    fn dir_inode(&self, path: &RelPath) -> Result<Option<u64>, FsError>;
    /// Whether a file can move between the two paths' directories in one rename.
    fn same_device(&self, one: &RelPath, other: &RelPath) -> Result<bool, FsError>;
}

impl Intent {
    /// Turns a checked change set into units with slots.
    ///
    /// A rename that also changes content, or that crosses a device, becomes a
    /// deletion and a creation that takes over the file's metadata. A slot lies
    /// beside its file, or, where the directory is still to be made, in the nearest
    /// directory that is there.
    pub(crate) fn plan(set: &ChangeSet, terrain: &dyn Terrain) -> Result<Self, FsError> {
        let intent = Self { set: set.id.clone(), ..Self::default() };
        let removed = RemovedDirs::of(&set.changes);
        let mut planning =
            Planning { intent, new_dirs: HashSet::new(), removed: &removed, terrain };
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
        let Planning { mut intent, new_dirs, .. } = planning;
        intent.new_dirs.sort_by_key(|dir| dir.components().count());
        let goals = intent.units.iter().filter_map(|unit| match &unit.action {
            Action::Move { to, .. } => Some(to),
            _ => None,
        });
        let mut dirs: BTreeSet<RelPath> =
            intent.units.iter().filter_map(|unit| unit.slot.parent()).collect();
        dirs.extend(goals.filter_map(|to| nearest_dir(to, |dir| new_dirs.contains(dir))));
        for dir in dirs {
            if let Some(inode) = terrain.dir_inode(&dir)? {
                intent.dirs.push((dir, inode));
            }
        }
        Ok(intent)
    }

    /// Every directory that is away once the set is on disk, as far as it is empty.
    pub(crate) fn removed_dirs(&self) -> Vec<DirBelow> {
        let cleared = self.units.iter().filter_map(|unit| match &unit.action {
            Action::RemoveDir { dirs } => Some(dirs),
            _ => None,
        });
        cleared.flatten().chain(&self.emptied).cloned().collect()
    }

    /// The topmost directories that are taken away.
    pub(crate) fn cleared(&self) -> impl Iterator<Item = &RelPath> {
        let is_dir = |unit: &&Unit| matches!(unit.action, Action::RemoveDir { .. });
        self.units.iter().filter(is_dir).map(|unit| &unit.path)
    }

    /// The directories that files move into, and those above them.
    pub(crate) fn dirs_moved_into(&self) -> HashSet<RelPath> {
        let mut above = HashSet::new();
        for unit in &self.units {
            if let Action::Move { to, .. } = &unit.action {
                note_above(to, &mut above);
            }
        }
        above
    }

    /// What makes way for others at its path: directories, and links that lead to directories.
    pub(crate) fn making_way(&self) -> impl Iterator<Item = &RelPath> {
        let is_link = |unit: &&Unit| {
            unit.frees_path() && unit.base().is_some_and(|base| !base.kind.is_file())
        };
        self.cleared().chain(self.units.iter().filter(is_link).map(|unit| &unit.path))
    }

    /// The same, to be asked often.
    pub(crate) fn cleared_dirs(&self) -> HashSet<RelPath> {
        self.cleared().cloned().collect()
    }

    /// Gives the slots names of their own, for a set whose slots may be numbered otherwise.
    pub(crate) fn rename_slots(&mut self) -> Result<(), FsError> {
        for (number, unit) in self.units.iter_mut().enumerate() {
            let name = slot_name(&format!("{}{REBUILT_MARKER}", self.set), number);
            unit.slot = match unit.slot.parent() {
                Some(dir) => dir.join(name.as_bytes())?,
                None => RelPath::parse(name.as_bytes())?,
            };
        }
        Ok(())
    }

    /// Whether every slot has a name that only this set's slots have, beside its file or in a
    /// directory above it, and every directory to make is one of a file's.
    pub(crate) fn has_own_slots(&self, changes: Option<&[Change]>) -> bool {
        let is_above = |dir: Option<RelPath>, path: &RelPath| {
            dir.is_none_or(|dir| path.parent().is_some_and(|parent| parent.starts_with(&dir)))
        };
        let own = self.units.iter().enumerate().all(|(number, unit)| {
            let name = unit.slot.file_name();
            let rebuilt = format!("{}{REBUILT_MARKER}", self.set);
            let is_named = name == slot_name(&self.set, number).as_bytes()
                || name == slot_name(&rebuilt, number).as_bytes();
            is_named && is_above(unit.slot.parent(), &unit.path)
        });
        if !own {
            return false;
        }
        let ends = self.units.iter().filter_map(Unit::arrives_at);
        let leaving = self.units.iter().filter(|unit| unit.frees_path()).map(|unit| &unit.path);
        let mut above_ends: HashSet<RelPath> = HashSet::new();
        for path in ends.chain(leaving) {
            note_above(path, &mut above_ends);
        }
        for change in changes.into_iter().flatten() {
            if matches!(change.operation, Operation::MakeDir { .. }) {
                note_above(&change.path, &mut above_ends);
                above_ends.insert(change.path.clone());
            }
        }
        let dirs = self.new_dirs.iter().chain(self.emptied.iter().map(|(dir, _)| dir));
        dirs.into_iter().all(|dir| above_ends.contains(dir) || changes.is_none())
    }

    /// Whether these are the changes that it makes, as far as they do not depend on the disk.
    pub(crate) fn makes(&self, changes: &[Change]) -> bool {
        let units: HashMap<(&RelPath, u8), &Action> = self
            .units
            .iter()
            .map(|unit| ((&unit.path, unit.action.kind()), &unit.action))
            .collect();
        let removed = RemovedDirs::of(changes);
        let mut expected = 0;
        let mut has = |path: &RelPath, action: &Action| {
            expected += 1;
            units.get(&(path, action.kind())).is_some_and(|found| found.is_alike(action))
        };
        let all = changes.iter().all(|change| {
            let path = &change.path;
            match (&change.operation, change.expected) {
                (Operation::Write(staged), Expected::Matches(base)) => {
                    has(path, &Action::Replace { base, inode: 0, staged: *staged })
                }
                (Operation::Write(staged), Expected::Absent) => {
                    has(path, &Action::Create { staged: *staged, like: None })
                }
                (Operation::Delete, Expected::Matches(base)) => has(path, &Action::Delete { base }),
                (Operation::SetMode { mode }, Expected::Matches(base)) => {
                    has(path, &Action::SetMode { base, mode: *mode })
                }
                (Operation::Rename { to, staged }, Expected::Matches(base)) => {
                    let moved = Action::Move { base, inode: 0, to: to.clone() };
                    if units.contains_key(&(path, moved.kind())) {
                        return staged.is_none() && has(path, &moved);
                    }
                    let staged = staged.unwrap_or(base);
                    let like = (staged.kind == base.kind).then(|| path.clone());
                    has(path, &Action::Delete { base }) && has(to, &Action::Create { staged, like })
                }
                // A directory that was there already is not made.
                (Operation::MakeDir { .. }, Expected::Absent) => true,
                (Operation::RemoveDir, Expected::Directory { .. }) => removed.has_removed(path),
                _ => false,
            }
        });
        let cleared = removed.tops().all(|top| {
            let dirs = removed.at_or_below(top).map(|dir| (dir.clone(), None)).collect();
            has(top, &Action::RemoveDir { dirs })
        });
        all && cleared && expected == self.units.len() && units.len() == self.units.len()
    }
}

/// An intent that is being planned.
struct Planning<'t> {
    intent: Intent,
    /// The same directories as the intent's, to look one up: a set may make thousands.
    new_dirs: HashSet<RelPath>,
    removed: &'t RemovedDirs,
    terrain: &'t dyn Terrain,
}

impl Planning<'_> {
    fn add(&mut self, change: &Change) -> Result<(), FsError> {
        let path = &change.path;
        match (&change.operation, change.expected) {
            (Operation::Write(staged), Expected::Matches(base)) => {
                let inode = self.terrain.inode(path).unwrap_or(0);
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
                let moved = staged.is_none() && self.terrain.same_device(path, to)?;
                if moved {
                    let inode = self.terrain.inode(path).unwrap_or(0);
                    self.add_parents(to)?;
                    return self.push(path, Action::Move { base, inode, to: to.clone() });
                }
                let staged = staged.unwrap_or(base);
                self.push(path, Action::Delete { base })?;
                let like = (staged.kind == base.kind).then(|| path.clone());
                self.push(to, Action::Create { staged, like })
            }
            (Operation::MakeDir { mode }, Expected::Absent) => {
                if self.terrain.is_directory(path)? {
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
            _ => Err(FsError::BadChangeSet {
                reason: format!("the change of `{path}` does not fit what it expects to be there"),
            }),
        }
    }

    fn push(&mut self, path: &RelPath, action: Action) -> Result<(), FsError> {
        let beside = self.add_parents(path)?;
        let name = slot_name(&self.intent.set, self.intent.units.len());
        let slot = match beside {
            Some(dir) => dir.join(name.as_bytes())?,
            None => RelPath::parse(name.as_bytes())?,
        };
        let stamp = self.terrain.new_stamp();
        self.intent.units.push(Unit { path: path.clone(), slot, action, stamp });
        Ok(())
    }

    /// Plans that a directory is taken away, with those in it.
    fn add_removed(&mut self, path: &RelPath) -> Result<(), FsError> {
        let mut dirs = Vec::new();
        for dir in self.removed.at_or_below(path) {
            dirs.push((dir.clone(), self.terrain.dir_mode(dir)?));
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
        for arriving in units.iter().filter_map(Unit::arrives_at).chain(&self.intent.new_dirs) {
            let mut dir = arriving.parent();
            while let Some(path) = dir.filter(|dir| above.remove(dir)) {
                dir = path.parent();
            }
        }
        // A directory that the set makes stays, also where it was there already.
        let makes = |change: &&Change| matches!(change.operation, Operation::MakeDir { .. });
        for made in changes.iter().filter(makes) {
            let mut dir = Some(made.path.clone());
            while let Some(path) = dir.filter(|dir| above.remove(dir)) {
                dir = path.parent();
            }
        }
        let above: BTreeSet<RelPath> = above.into_iter().collect();
        // A parent's path sorts before those below it.
        above.into_iter().map(|dir| Ok((dir.clone(), self.terrain.dir_mode(&dir)?))).collect()
    }

    /// Notes which parents of `path` are still to be made; returns the nearest one
    /// that is there and stays, `None` for the root.
    fn add_parents(&mut self, path: &RelPath) -> Result<Option<RelPath>, FsError> {
        let mut parent = path.parent();
        while let Some(dir) = parent {
            if self.removed.has_removed(&dir) || self.new_dirs.contains(&dir) {
                parent = dir.parent();
            } else if self.terrain.is_directory(&dir)? {
                return Ok(Some(dir));
            } else {
                parent = dir.parent();
                self.intent.new_dirs.push(dir.clone());
                self.new_dirs.insert(dir);
            }
        }
        Ok(None)
    }
}

/// Whether a path is one of these directories, or lies below one.
pub(crate) fn lies_in(path: &RelPath, dirs: &HashSet<RelPath>) -> bool {
    !dirs.is_empty()
        && std::iter::successors(Some(path.clone()), RelPath::parent).any(|it| dirs.contains(&it))
}

/// Notes the directories that a path lies in.
fn note_above(path: &RelPath, above: &mut HashSet<RelPath>) {
    let mut parent = path.parent();
    while let Some(dir) = parent {
        parent = dir.parent();
        if !above.insert(dir) {
            break;
        }
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

/// Refuses a set that contradicts itself before anything is looked at.
pub(crate) fn check_consistency(set: &ChangeSet) -> Result<(), FsError> {
    let bad = |reason: String| Err(FsError::BadChangeSet { reason });
    if !is_set_id(&set.id) {
        return bad(format!("`{}` is no id for a change set", set.id));
    }
    if set.changes.is_empty() {
        return bad("it has no changes".to_owned());
    }
    let mut from = BTreeSet::new();
    let mut to = BTreeSet::new();
    for change in &set.changes {
        // A file may leave a path for which another one is meant.
        if change.expected != Expected::Absent && !from.insert(&change.path) {
            return bad(format!("two changes concern `{}`", change.path));
        }
        if let (Operation::SetMode { .. }, Expected::Matches(base)) =
            (&change.operation, change.expected)
            && !base.kind.is_file()
        {
            return bad(format!("`{}` is a symbolic link, whose mode means nothing", change.path));
        }
        let arrives = change.arrives_at();
        if let Some(path) = arrives
            && !to.insert(path)
        {
            return bad(format!("two changes bring a file to `{path}`"));
        }
    }
    let stays = |change: &&Change| {
        !matches!(change.operation, Operation::Delete | Operation::Rename { .. })
            && matches!(change.expected, Expected::Matches(_))
    };
    for change in set.changes.iter().filter(stays) {
        if to.contains(&change.path) {
            return bad(format!("a change brings a file onto `{}`, which stays", change.path));
        }
    }
    let taken_away: BTreeSet<&RelPath> = set
        .changes
        .iter()
        .filter(|change| change.operation == Operation::RemoveDir)
        .map(|change| &change.path)
        .collect();
    for arriving in to {
        let mut above = arriving.parent();
        while let Some(dir) = above {
            if taken_away.contains(&dir) {
                return bad(format!("`{arriving}` comes into `{dir}`, which is to be removed"));
            }
            above = dir.parent();
        }
    }
    Ok(())
}
