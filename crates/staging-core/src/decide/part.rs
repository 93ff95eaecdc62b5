//! Undoing a part of an applied set: which of its patches are undone, and whether the others hold
//! without them.

use std::collections::{HashMap, HashSet};

use atomic_fs::{EntryKind, RelPath};
use rusqlite::Connection;

use crate::base::Base;
use crate::error::{Result, StagingError};
use crate::ids::{ApplyId, PatchId};
use crate::patch::{Operation, Patch};
use crate::store::{applies, patches};

/// The patches of an apply that are still applied.
pub(crate) struct Part {
    /// Those that are undone, by path.
    pub(crate) undone: Vec<Patch>,
    /// Those that stay applied, by path.
    pub(crate) rest: Vec<Patch>,
}

impl Part {
    /// The part of these patches, or of all that are still applied when none is named.
    ///
    /// # Errors
    /// `NotUndoable` when a patch is no part of the apply, when it was undone before, and when
    /// the rest would not hold without it.
    pub(crate) fn of(connection: &Connection, apply: ApplyId, named: &[PatchId]) -> Result<Self> {
        let applied = patches::applied_by(connection, apply)?;
        if named.is_empty() {
            return Ok(Self { undone: applied, rest: Vec::new() });
        }
        let named: HashSet<PatchId> = named.iter().copied().collect();
        let (undone, rest): (Vec<Patch>, Vec<Patch>) =
            applied.into_iter().partition(|patch| named.contains(&patch.id));
        let found: HashSet<PatchId> = undone.iter().map(|patch| patch.id).collect();
        let refused = |reason: String| Err(StagingError::NotUndoable { apply, reason });
        if let Some(other) = named.iter().filter(|id| !found.contains(id)).min() {
            let is_of = patches::of_apply(connection, apply)?.iter().any(|one| one.id == *other);
            return refused(match applies::undo_of(connection, apply, *other)? {
                Some(by) if is_of => format!("its patch {other} was undone by {by}"),
                _ => format!("{other} is no part of it"),
            });
        }
        let part = Self { undone, rest };
        match part.held_by_rest() {
            Some(reason) => refused(reason),
            None => Ok(part),
        }
    }

    /// What of the rest needs what would be undone, as a sentence.
    fn held_by_rest(&self) -> Option<String> {
        let rest = Rest::new(&self.rest);
        self.undone.iter().find_map(|patch| {
            let (other, how) = rest.needs(patch)?;
            let (path, other_path) = (&patch.path, other.target().unwrap_or(&other.path));
            let (id, other) = (patch.id, other.id);
            Some(format!(
                "{id} `{path}` cannot be undone without {other} `{other_path}`, which {how}"
            ))
        })
    }
}

/// What stays applied, by the paths that matter to the other patches.
struct Rest<'p> {
    /// What is at a path by it.
    at: HashMap<&'p RelPath, &'p Patch>,
    /// One of those below a path.
    below: HashMap<RelPath, &'p Patch>,
    /// The directories that it removed.
    removed: HashMap<&'p RelPath, &'p Patch>,
}

impl<'p> Rest<'p> {
    fn new(patches: &'p [Patch]) -> Self {
        let mut rest = Self { at: HashMap::new(), below: HashMap::new(), removed: HashMap::new() };
        for patch in patches {
            if let Some(target) = patch.target() {
                rest.at.insert(target, patch);
                for dir in std::iter::successors(target.parent(), RelPath::parent) {
                    // Those above are known already.
                    if rest.below.insert(dir, patch).is_some() {
                        break;
                    }
                }
            }
            if was_directory(patch) && patch.replaces(&patch.path) {
                rest.removed.insert(&patch.path, patch);
            }
        }
        rest
    }

    /// The patch of the rest that is in the way of undoing another one, and how.
    fn needs(&self, patch: &Patch) -> Option<(&'p Patch, &'static str)> {
        let path = &patch.path;
        if patch.staged.is_some_and(|staged| staged.kind() == EntryKind::Directory)
            && let Some(inside) = self.below.get(path)
        {
            return Some((*inside, "is in that directory"));
        }
        if !matches!(patch.operation, Operation::Delete | Operation::Rename) {
            return None;
        }
        if let Some(there) = self.at.get(path) {
            return Some((*there, "took its place"));
        }
        if !was_directory(patch)
            && let Some(inside) = self.below.get(path)
        {
            return Some((*inside, "is in a directory that took its place"));
        }
        std::iter::successors(path.parent(), RelPath::parent).find_map(|dir| {
            let is_file = |there: &&&Patch| there.kind() != EntryKind::Directory;
            let there = self.at.get(&dir).filter(is_file);
            let taken = there.map(|there| (*there, "took the place of its directory"));
            taken.or_else(|| Some((*self.removed.get(&dir)?, "removed its directory")))
        })
    }
}

fn was_directory(patch: &Patch) -> bool {
    patch.base.as_ref().map(Base::kind) == Some(EntryKind::Directory)
}
