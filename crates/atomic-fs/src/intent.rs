//! What is about to be swapped: the durable form of a change set.

use serde::{Deserialize, Serialize};

use crate::change_set::{Change, ChangeSet, Expected, Operation, Staged};
use crate::content::Fingerprint;
use crate::error::FsError;
use crate::rel_path::RelPath;

/// The first bytes of every slot's name; what follows is the set's id and the
/// unit's number, and `.tmp` ends it.
pub(crate) const SLOT_PREFIX: &str = ".greenroom-";
pub(crate) const SLOT_SUFFIX: &str = ".tmp";

/// Whether a name can only be a slot of Greenroom's.
pub fn is_slot_name(name: &[u8]) -> bool {
    name.starts_with(SLOT_PREFIX.as_bytes()) && name.ends_with(SLOT_SUFFIX.as_bytes())
}

/// Everything that recovery needs to finish or to undo a change set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The caller's id of the set.
    pub set: String,
    /// Directories to make, outermost first.
    pub new_dirs: Vec<RelPath>,
    /// What happens, one unit for each file.
    pub units: Vec<Unit>,
}

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
    Replace { base: Fingerprint, inode: u64, staged: Staged },
    /// The slot holds new content and becomes the file. `like` names the file whose
    /// owner and attributes it takes, when it continues one.
    Create { staged: Staged, like: Option<RelPath> },
    /// The file becomes the slot.
    Delete { base: Fingerprint },
    /// The file becomes the slot, and the slot becomes `to`.
    Move { base: Fingerprint, inode: u64, to: RelPath },
    /// The file's permission bits change where it is.
    SetMode { base: Fingerprint, mode: u32 },
}

impl Unit {
    /// The content that the slot must hold before the swaps begin, if any.
    pub(crate) fn staged(&self) -> Option<Staged> {
        match &self.action {
            Action::Replace { staged, .. } | Action::Create { staged, .. } => Some(*staged),
            Action::Delete { .. } | Action::Move { .. } | Action::SetMode { .. } => None,
        }
    }

    /// The content the file must have before the swap, if it must be there.
    pub(crate) fn base(&self) -> Option<Fingerprint> {
        match &self.action {
            Action::Replace { base, .. }
            | Action::Delete { base }
            | Action::Move { base, .. }
            | Action::SetMode { base, .. } => Some(*base),
            Action::Create { .. } => None,
        }
    }

    /// The path at which something comes to be that was not there.
    pub(crate) fn arrives_at(&self) -> Option<&RelPath> {
        match &self.action {
            Action::Create { .. } => Some(&self.path),
            Action::Move { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether the unit takes its file away from its path.
    pub(crate) fn frees_path(&self) -> bool {
        matches!(self.action, Action::Delete { .. } | Action::Move { .. })
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
        let mut intent = Self { set: set.id.clone(), new_dirs: Vec::new(), units: Vec::new() };
        for change in &set.changes {
            intent.add(change, terrain)?;
        }
        intent.new_dirs.sort_by_key(|dir| dir.components().count());
        intent.new_dirs.dedup();
        Ok(intent)
    }

    fn add(&mut self, change: &Change, terrain: &dyn Terrain) -> Result<(), FsError> {
        let path = &change.path;
        match (&change.operation, change.expected) {
            (Operation::Write(staged), Expected::Matches(base)) => {
                let inode = terrain.inode(path).unwrap_or(0);
                self.push(path, Action::Replace { base, inode, staged: *staged }, terrain)
            }
            (Operation::Write(staged), Expected::Absent) => {
                self.push(path, Action::Create { staged: *staged, like: None }, terrain)
            }
            (Operation::Delete, Expected::Matches(base)) => {
                self.push(path, Action::Delete { base }, terrain)
            }
            (Operation::SetMode { mode }, Expected::Matches(base)) => {
                self.push(path, Action::SetMode { base, mode: *mode }, terrain)
            }
            (Operation::Rename { to, staged }, Expected::Matches(base)) => {
                let moved = staged.is_none() && terrain.same_device(path, to)?;
                if moved {
                    let inode = terrain.inode(path).unwrap_or(0);
                    self.add_parents(to, terrain)?;
                    return self.push(path, Action::Move { base, inode, to: to.clone() }, terrain);
                }
                let staged = staged.unwrap_or(Staged {
                    digest: base.digest,
                    bytes: base.bytes,
                    mode: base.mode,
                });
                self.push(path, Action::Delete { base }, terrain)?;
                let like = Some(path.clone());
                self.push(to, Action::Create { staged, like }, terrain)
            }
            (_, Expected::Absent) => Err(FsError::BadChangeSet {
                reason: format!("`{path}` can only be written if it is expected to be absent"),
            }),
        }
    }

    fn push(
        &mut self,
        path: &RelPath,
        action: Action,
        terrain: &dyn Terrain,
    ) -> Result<(), FsError> {
        let beside = self.add_parents(path, terrain)?;
        let name = format!("{SLOT_PREFIX}{}-{}{SLOT_SUFFIX}", self.set, self.units.len());
        let slot = match beside {
            Some(dir) => dir.join(name.as_bytes())?,
            None => RelPath::parse(name.as_bytes())?,
        };
        let stamp = terrain.new_stamp();
        self.units.push(Unit { path: path.clone(), slot, action, stamp });
        Ok(())
    }

    /// Notes which parents of `path` are still to be made; returns the nearest one
    /// that is there, `None` for the root.
    fn add_parents(
        &mut self,
        path: &RelPath,
        terrain: &dyn Terrain,
    ) -> Result<Option<RelPath>, FsError> {
        let mut parent = path.parent();
        while let Some(dir) = parent {
            if self.new_dirs.contains(&dir) {
                parent = dir.parent();
            } else if terrain.is_directory(&dir)? {
                return Ok(Some(dir));
            } else {
                parent = dir.parent();
                self.new_dirs.push(dir);
            }
        }
        Ok(None)
    }
}

/// Refuses a set that contradicts itself before anything is looked at.
pub(crate) fn check_consistency(set: &ChangeSet) -> Result<(), FsError> {
    let bad = |reason: String| Err(FsError::BadChangeSet { reason });
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if set.id.is_empty() || set.id.len() > 64 || !set.id.bytes().all(well_formed) {
        return bad(format!("`{}` is no id for a change set", set.id));
    }
    if set.changes.is_empty() {
        return bad("it has no changes".to_owned());
    }
    let mut from = std::collections::BTreeSet::new();
    let mut to = std::collections::BTreeSet::new();
    for change in &set.changes {
        // A file may leave a path for which another one is meant.
        if matches!(change.expected, Expected::Matches(_)) && !from.insert(&change.path) {
            return bad(format!("two changes concern `{}`", change.path));
        }
        let arrives = match (&change.operation, change.expected) {
            (Operation::Rename { to, .. }, _) => Some(to),
            (Operation::Write(_), Expected::Absent) => Some(&change.path),
            _ => None,
        };
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
    Ok(())
}
