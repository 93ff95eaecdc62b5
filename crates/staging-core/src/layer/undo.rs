//! Taking an applied set back while its files are still what was applied.

use atomic_fs::{
    Applied, Change, ChangeSet, Expected, Fingerprint, FsError, Operation as FsOperation, Outcome,
    RelPath, Staged,
};

use super::apply::{
    Tidying, commit, random_suffix, reason_of, reason_of_conflicts, roll_back, unrecorded,
};
use super::request::UndoReport;
use super::{DiffStagingLayer, Inner};
use crate::Result;
use crate::base::Base;
use crate::error::StagingError;
use crate::events::Event;
use crate::ids::ApplyId;
use crate::patch::{Operation, Patch, StagedContent};
use crate::store::applies::{self, ApplyState};
use crate::store::{patches, unpoisoned};

impl DiffStagingLayer {
    /// Takes an applied set back, the newest one that stands by default: whole or not
    /// at all, as it was applied. Call [`tidy`](Self::tidy) once the answer is given.
    ///
    /// A deleted file comes back with its content and mode; its owner and attributes
    /// are those of a new file. Directories that the apply made go when they are empty, as
    /// a part of the tidying. The old contents
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
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let lock = inner.begin(&mut gate)?;
        let target = inner.standing(apply)?;
        let applied = inner.store.look(|connection| patches::of_apply(connection, target))?;
        let changes: Vec<Change> = applied.iter().filter_map(reverse).collect();
        if changes.len() != applied.len() {
            let reason = "its record is not complete".to_owned();
            return Err(StagingError::NotUndoable { apply: target, reason });
        }
        let (by, set_id) = inner.store.write(|write| {
            let now = write.now;
            let started = applies::start_undo(write, &random_suffix(), target, now)?;
            let ids = applied.iter().map(|patch| patch.id).collect();
            let signature = crate::signature::set_signature(&applied);
            write.log(Event::ApplyStarted {
                apply: started.0,
                patches: ids,
                signature,
                attested_by: None,
            })?;
            Ok(started)
        })?;
        let set = ChangeSet { id: set_id, changes };
        let span = tracing::info_span!("undo", %target, %by, changes = set.changes.len());
        let Applied { outcome, unfinished, kept, made_dirs, .. } =
            span.in_scope(|| inner.workspace.apply(&lock, &set, &inner.blobs));
        let recorded = inner.store.write(|write| match &outcome {
            Outcome::Committed => commit(write, by, &made_dirs),
            Outcome::Conflicts(conflicts) => roll_back(write, by, &reason_of_conflicts(conflicts)),
            Outcome::RolledBack(error) => roll_back(write, by, &reason_of(error)),
            Outcome::InDoubt(error) => {
                let (reason, now) = (reason_of(error), write.now);
                applies::decide(write, by, ApplyState::InDoubt, Some(&reason), now)?;
                write.log(Event::ApplyInDoubt { apply: by, reason })
            }
            _ => Ok(()),
        });
        if let Err(error) = recorded {
            return Err(unrecorded(by, outcome, error));
        }
        if let Some(unfinished) = unfinished {
            *gate = Some(Tidying { lock, unfinished, apply: by });
        }
        match outcome {
            Outcome::Committed => {
                let patches = applied.iter().map(|patch| patch.id).collect();
                let kept = kept.iter().map(|kept| kept.file.display().to_string()).collect();
                Ok(UndoReport { apply: by, undone: target, patches, kept })
            }
            Outcome::Conflicts(conflicts) => Err(undo_conflict(target, &conflicts)),
            Outcome::RolledBack(source) => Err(StagingError::RolledBack { apply: by, source }),
            Outcome::InDoubt(source) => Err(StagingError::InDoubt { apply: by, source }),
            _ => Err(StagingError::NotRecovered { reason: "its outcome is unknown".to_owned() }),
        }
    }
}

impl Inner {
    /// The apply to take back, if it can be.
    fn standing(&self, asked: Option<ApplyId>) -> Result<ApplyId> {
        self.store.read(|connection| {
            let Some(apply) = asked else {
                return applies::newest_standing(connection)?.ok_or(StagingError::NothingToUndo);
            };
            let refused = |reason: String| Err(StagingError::NotUndoable { apply, reason });
            let Some(standing) = applies::standing(connection, apply)? else {
                return refused("there is no such apply".to_owned());
            };
            match standing {
                applies::Standing { undone_by: Some(by), .. } => {
                    refused(format!("{by} took it back already"))
                }
                applies::Standing { is_undo: true, .. } => {
                    refused("it is an undo itself; propose the changes anew".to_owned())
                }
                applies::Standing { is_forgotten: true, .. } => {
                    refused("it is older than old contents are kept".to_owned())
                }
                applies::Standing { state: ApplyState::Committed, .. } => Ok(apply),
                _ => refused("it never reached the disk".to_owned()),
            }
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
            source: FsError::BadChangeSet { reason: "a conflict without a file".to_owned() },
        },
    }
}

/// The change that brings back what a patch changed; `None` for a row that lacks what
/// its operation needs.
fn reverse(patch: &Patch) -> Option<Change> {
    let change =
        |path: &RelPath, expected, operation| Change { path: path.clone(), expected, operation };
    let path = &patch.path;
    Some(match patch.operation {
        Operation::Create => change(path, now(&patch.staged?), FsOperation::Delete),
        Operation::Modify => {
            change(path, now(&patch.staged?), FsOperation::Write(before(patch.base.as_ref()?)))
        }
        Operation::Delete => {
            let base = before(patch.base.as_ref()?);
            change(path, Expected::Absent, FsOperation::Write(base))
        }
        Operation::Mode => {
            let mode = patch.base.as_ref()?.mode;
            change(path, now(&patch.staged?), FsOperation::SetMode { mode })
        }
        Operation::Rename => {
            let (staged, base) = (patch.staged?, before(patch.base.as_ref()?));
            let same = (staged.digest, staged.mode) == (base.digest, base.mode);
            let operation =
                FsOperation::Rename { to: path.clone(), staged: (!same).then_some(base) };
            change(patch.rename_to.as_ref()?, now(&staged), operation)
        }
    })
}

/// What the apply left on the disk.
fn now(staged: &StagedContent) -> Expected {
    let StagedContent { digest, mode, bytes } = *staged;
    Expected::Matches(Fingerprint { digest, bytes, mode })
}

/// What was there before.
fn before(base: &Base) -> Staged {
    Staged { digest: base.digest, bytes: base.bytes, mode: base.mode }
}
