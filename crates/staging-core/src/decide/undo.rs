//! Taking an applied set back while its files are still what was applied.

use std::collections::{BTreeSet, HashSet};

use atomic_fs::{
    Change, ChangeSet, EmptiedDirs, EntryKind, Expected, FsError, Operation as FsOperation, RelPath,
};

use crate::decide::apply::record_start;
use crate::decide::changes::reverse_all;
use crate::decide::conclude::{Committed, NotCommitted, reason_of_conflicts};
use crate::decide::part::Part;
use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError};
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::locks::unpoisoned;
use crate::patch::{Operation, Patch, PatchState};
use crate::report::{Reversible, Totals, UndoReport, UndoneFile};
use crate::request::UndoRequest;
use crate::signing::{set_signature, signature_of_several};
use crate::store::applies::{FORGOTTEN, RemovedDir, Reversal, Start};
use crate::store::{applies, patches};

impl DiffStagingLayer {
    /// What [`undo`](DiskOwner::undo) would take back: the patches of the apply that are still applied.
    ///
    /// # Errors
    /// `NotUndoable`, `NothingToUndo`.
    pub fn undoable(&self, apply: Option<ApplyId>) -> Result<Reversible> {
        let apply = self.0.latest_undoable(apply)?;
        let patches = self.0.store.peek(|connection| patches::applied_by(connection, apply))?;
        Ok(Reversible { apply, undo: None, signature: set_signature(&patches), patches })
    }
}

impl DiskOwner {
    /// Takes an applied set back, by default the newest one that was not undone: whole or not at all,
    /// as it was applied. Of a set that was undone in part it takes back the rest. By default it passes over changes that Greenroom made to
    /// agents' settings. Its patches are pending again, unless something else is pending
    /// on their files; patches that were proposed on top of them are stale. Call [`tidy`](Self::tidy) once the answer is given.
    ///
    /// A deleted file comes back with its content and mode; its owner and attributes
    /// are those of a new file. Directories that the apply removed come back with their permission
    /// bits. Directories that it made are removed when they are empty, while tidying. The old contents
    /// are as durable as proposals are: where a power cut soon after them tore one, the
    /// undo is refused, since no content is brought in that does not have its digest.
    ///
    /// # Durability
    /// As [`apply`](Self::apply).
    ///
    /// # Errors
    /// `UndoConflict` when a file is no longer what was applied: it names all of them,
    /// and nothing has changed. `NotUndoable`, `NothingToUndo`; `RolledBack` and
    /// `InDoubt` as for an apply.
    pub fn undo(&self, apply: Option<ApplyId>) -> Result<UndoReport> {
        self.undo_part(&UndoRequest { apply, ..UndoRequest::default() })
    }

    /// The same for a part of the set, if patches are named: the others stay applied, and can be undone
    /// later. Until then the newest apply that was not undone is still this one.
    ///
    /// # Errors
    /// As [`undo`](Self::undo). `NotUndoable` also when a patch was undone before, and when the rest
    /// would not hold without it.
    pub fn undo_part(&self, request: &UndoRequest) -> Result<UndoReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        // The workspace is locked, and nothing is left of any apply before.
        let lock = inner.begin_set(&mut gate)?;
        // The set to take back, whose record has to be what was approved.
        let target = inner.latest_undoable(request.apply)?;
        inner.check_record(target)?;
        let Part { undone, rest } =
            inner.store.peek(|connection| Part::of(connection, target, &request.patches))?;
        let left = inner.left_empty(target, &undone)?;
        let changes = reverse_all(&undone, &left).filter(|changes| !changes.is_empty());
        let Some(changes) = changes else {
            let reason = "its record is not complete".to_owned();
            return Err(StagingError::NotUndoable { apply: target, reason });
        };
        // The undo is recorded before it changes anything.
        let (by, set_id) = inner.store.write(|write| {
            let start = Start { undoes: Some(target), ..Start::by(&request.approval) };
            let started = record_start(write, &start, &undone)?;
            // Recovery makes the same changes of the record; the outcome takes its place.
            applies::set_removed_dirs(write, started.0, &left)?;
            Ok(started)
        })?;
        // The directories that the apply removed come back too, of a part those above its files. Those
        // that an older version left, or that are there again, need not be made.
        let mut gone = inner.store.peek(|connection| applies::removed_dirs(connection, target))?;
        if !rest.is_empty() {
            gone.retain(|(dir, _)| undone.iter().any(|patch| patch.path.starts_with(dir)));
        }
        let makes = |change: &&Change| matches!(change.operation, FsOperation::MakeDir { .. });
        let already: HashSet<RelPath> =
            changes.iter().filter(makes).map(|change| change.path.clone()).collect();
        let gone = gone.into_iter().filter(|(path, _)| !already.contains(path));
        let made = gone.map(|(path, mode)| Change {
            path,
            expected: Expected::Absent,
            operation: FsOperation::MakeDir { mode },
        });
        let changes = changes.into_iter().chain(made).collect();
        let set = ChangeSet { id: set_id, changes, emptied_dirs: EmptiedDirs::Keep };
        // The files are taken back, and the outcome is recorded.
        let span = tracing::info_span!("undo", %target, %by, changes = set.changes.len());
        let applied_set = span.in_scope(|| inner.workspace.take_back(&lock, &set, &inner.blobs));
        match inner.conclude(&mut gate, lock, by, &[], applied_set) {
            Ok(Committed { kept, .. }) => {
                let mut pending = inner.store.peek(|c| patches::of_apply(c, by))?;
                pending.retain(|patch| patch.state == PatchState::Pending);
                let ids = |patches: &[Patch]| patches.iter().map(|patch| patch.id).collect();
                Ok(UndoReport {
                    apply: by,
                    undone: target,
                    patches: ids(&undone),
                    pending: ids(&pending),
                    signature: set_signature(&pending),
                    remaining: ids(&rest),
                    totals: Totals::of(&undone),
                    files: undone.iter().map(UndoneFile::from).collect(),
                    kept,
                })
            }
            Err(NotCommitted::Conflicts { conflicts, .. }) => {
                Err(undo_conflict(target, &conflicts))
            }
            Err(NotCommitted::Failed(error)) => Err(error),
        }
    }
}

impl Inner {
    /// Refuses an apply whose patches are not what was approved.
    fn check_record(&self, apply: ApplyId) -> Result<()> {
        let (recorded, patches) = self.store.peek(|connection| {
            let patches = patches::of_apply(connection, apply)?;
            Ok((applies::approved_signature(connection, apply)?, patches))
        })?;
        let found = [set_signature(&patches), signature_of_several(&patches)];
        if recorded.is_some_and(|recorded| !found.contains(&recorded)) {
            let reason = "its record is not what was approved".to_owned();
            return Err(StagingError::NotUndoable { apply, reason });
        }
        Ok(())
    }

    /// The directories that an apply's patches made, as far as nothing will be in them once its
    /// files are taken back, with their permission bits, outermost first.
    pub(crate) fn left_empty(&self, target: ApplyId, applied: &[Patch]) -> Result<Vec<RemovedDir>> {
        let made = self.store.peek(|connection| applies::made_dirs(connection, target))?;
        let made: HashSet<RelPath> = made.into_iter().collect();
        let leaves = |patch: &Patch| patch.staged.is_some_and(|s| s.kind() != EntryKind::Directory);
        let arrived = applied.iter().filter(|patch| leaves(patch)).filter_map(|patch| {
            let is_new = patch.base.is_none() || patch.rename_to.is_some();
            patch.target().filter(|_| is_new)
        });
        let mut leaving: HashSet<RelPath> = arrived.cloned().collect();
        let is_new = |patch: &&Patch| {
            patch.operation == Operation::Create && patch.kind() == EntryKind::Directory
        };
        let new = applied.iter().filter(is_new).map(|patch| &patch.path);
        let new: BTreeSet<&RelPath> = new.filter(|dir| made.contains(*dir)).collect();
        let mut left = Vec::new();
        // The innermost first: a directory may hold nothing but such a one.
        for dir in new.into_iter().rev() {
            let Some(stat) = self.workspace.stat(dir)? else { continue };
            let Some(entries) = self.workspace.list(Some(dir))? else { continue };
            let stays = |entry: &atomic_fs::Entry| {
                let path = dir.join(&entry.name);
                path.is_ok_and(|path| !leaving.contains(&path))
            };
            if !entries.iter().any(stays) {
                leaving.insert(dir.clone());
                left.push((dir.clone(), Some(stat.mode)));
            }
        }
        left.reverse();
        Ok(left)
    }

    /// The apply to take back, if it can be.
    fn latest_undoable(&self, asked: Option<ApplyId>) -> Result<ApplyId> {
        self.store.read(|connection| {
            let Some(apply) = asked else {
                return applies::newest_undoable(connection)?.ok_or(StagingError::NothingToUndo);
            };
            let reason = match applies::reversal(connection, apply)? {
                None => "there is no such apply".to_owned(),
                Some(Reversal { undone_by: Some(by), .. }) => format!("it was undone by {by}"),
                Some(Reversal { undoes: Some(_), .. }) => {
                    "it is an undo itself: `redo` applies the changes again".to_owned()
                }
                Some(Reversal { is_forgotten: true, .. }) => FORGOTTEN.to_owned(),
                Some(Reversal { is_committed: true, .. }) => return Ok(apply),
                Some(_) => "it never reached the disk".to_owned(),
            };
            Err(StagingError::NotUndoable { apply, reason })
        })
    }
}

fn undo_conflict(apply: ApplyId, conflicts: &[atomic_fs::Conflict]) -> StagingError {
    match conflicts.first() {
        Some(first) => StagingError::UndoConflict {
            apply,
            path: first.path.clone(),
            reason: reason_of_conflicts(conflicts),
        },
        None => StagingError::RolledBack {
            apply,
            source: FsError::Conflicts { conflicts: conflicts.to_vec() },
        },
    }
}
