//! What is about to be swapped: the durable form of a change set.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::apply::slot_name::{ASIDE_MARKER, PART_MARKER, SLOT_SUFFIX};
use crate::content::Fingerprint;
use crate::rel_path::RelPath;

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
    pub(crate) fn kind(&self) -> u8 {
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
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
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
    /// The name that holds the file while its slot arrives, on file systems without
    /// exchange.
    pub(crate) fn aside(&self) -> RelPath {
        self.beside_slot(ASIDE_MARKER)
    }

    /// The name under which recovery writes the slot anew.
    pub(crate) fn part(&self) -> RelPath {
        self.beside_slot(PART_MARKER)
    }

    /// The slot's name with a marker in it.
    fn beside_slot(&self, marker: &str) -> RelPath {
        let slot = self.slot.file_name();
        let stem = slot.strip_suffix(SLOT_SUFFIX.as_bytes()).unwrap_or(slot);
        let name = [stem, marker.as_bytes(), SLOT_SUFFIX.as_bytes()].concat();
        RelPath::in_dir(self.slot.parent().as_ref(), &name)
            .expect("a slot's name with a few more letters is a name")
    }

    /// The content that the slot must hold before the swaps begin, if any.
    pub(crate) fn staged(&self) -> Option<Fingerprint> {
        match &self.action {
            Action::Replace { staged, .. } | Action::Create { staged, .. } => Some(*staged),
            _ => None,
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
        [self.base(), self.staged()].into_iter().flatten().any(|it| !it.is_file())
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

impl Intent {
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

    /// The same as a set.
    pub(crate) fn cleared_dirs(&self) -> HashSet<RelPath> {
        self.cleared().cloned().collect()
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
        let is_link =
            |unit: &&Unit| unit.frees_path() && unit.base().is_some_and(|base| !base.is_file());
        self.cleared().chain(self.units.iter().filter(is_link).map(|unit| &unit.path))
    }
}

/// Whether a path is one of these directories, or lies below one.
pub(crate) fn lies_in(path: &RelPath, dirs: &HashSet<RelPath>) -> bool {
    !dirs.is_empty() && (dirs.contains(path) || path.dirs_above().any(|dir| dirs.contains(&dir)))
}

/// Notes the directories that a path lies in.
pub(crate) fn note_above(path: &RelPath, above: &mut HashSet<RelPath>) {
    for dir in path.dirs_above() {
        if !above.insert(dir) {
            break;
        }
    }
}

/// The nearest directory above a path that is not new; `None` for the root.
pub(crate) fn nearest_dir(path: &RelPath, is_new: impl Fn(&RelPath) -> bool) -> Option<RelPath> {
    path.dirs_above().find(|dir| !is_new(dir))
}
