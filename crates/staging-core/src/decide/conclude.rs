//! Recording how a set ended that was brought to the disk: an apply, an undo, or either of them as
//! recovery finds it.

use std::collections::HashSet;
use std::sync::MutexGuard;

use atomic_fs::{Applied, Conflict, DisplacedEdit, Outcome, RelPath, WorkspaceLock};

use crate::decide::discard::discard_one;
use crate::decide::put_back::put_back;
use crate::error::{Result, StagingError, with_causes};
use crate::event::Event;
use crate::ids::{ApplyId, PatchId};
use crate::layer::{Inner, Tidying};
use crate::patch::{DiscardReason, Patch};
use crate::report::ApplyOutcome;
use crate::store::write::Write;
use crate::store::{applies, patches};

/// A set that is on the disk, durably.
pub(crate) struct Committed {
    /// Files with bytes of a user's edit that could not stay in place.
    pub(crate) kept: Vec<String>,
    /// Files that were edited between the last check and the swap.
    pub(crate) edited: Vec<Conflict>,
}

/// Why a set is not on the disk.
pub(crate) enum NotCommitted {
    /// Files were not as expected, and nothing has changed. The patches on them are stale and
    /// discarded.
    Conflicts { conflicts: Vec<Conflict>, stale: Vec<Patch> },
    /// Something failed.
    Failed(StagingError),
}

impl Inner {
    /// Records the outcome of a set in one transaction. What a committed set leaves to be tidied
    /// stays at the gate; what any other leaves is tidied here, so that the workspace is not locked.
    /// Where files were not as expected, the patches on them among `approved` are stale; an undo has
    /// none.
    pub(crate) fn conclude(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
        lock: WorkspaceLock,
        apply: ApplyId,
        approved: &[Patch],
        applied: Applied,
    ) -> Result<Committed, NotCommitted> {
        let Applied { outcome, unfinished, kept, edited, made_dirs, removed_dirs, .. } = applied;
        let record = |write: &mut Write<'_>| match &outcome {
            Outcome::Committed => {
                commit(write, apply, &made_dirs, &removed_dirs).map(|()| Vec::new())
            }
            Outcome::Conflicts(conflicts) => {
                roll_back_stale(write, apply, approved, conflicts, self.keeps_history())
            }
            Outcome::RolledBack(error) => {
                roll_back(write, apply, &with_causes(error)).map(|()| Vec::new())
            }
            outcome => {
                let reason = match outcome {
                    Outcome::InDoubt(error) => with_causes(error),
                    _ => UNKNOWN.to_owned(),
                };
                doubt(write, apply, reason).map(|()| Vec::new())
            }
        };
        let stale = match self.store.with_reserve(|| self.store.write(record)) {
            Ok(stale) => stale,
            Err(error) => return Err(NotCommitted::Failed(unrecorded(apply, outcome, error))),
        };
        // While the outcome is in doubt the journal is left to recovery, and nothing remains to be
        // tidied here.
        if let Some(unfinished) = unfinished {
            **gate = Some(Tidying { lock, unfinished, apply });
        }
        // Only a set that is on the disk is tidied after the answer. A caller that has an error to
        // handle would keep every other process out until it tidies.
        if !matches!(outcome, Outcome::Committed) {
            let found = self.tidy_before_recovery(gate);
            for DisplacedEdit { path, file } in kept.iter().chain(&found) {
                let file = file.display().to_string();
                tracing::warn!(%path, file, "a user's edit was kept beside");
            }
        }
        let shown = |kept: &DisplacedEdit| kept.file.display().to_string();
        Err(match outcome {
            Outcome::Committed => {
                return Ok(Committed { kept: kept.iter().map(shown).collect(), edited });
            }
            Outcome::Conflicts(conflicts) => NotCommitted::Conflicts { conflicts, stale },
            Outcome::RolledBack(source) => {
                NotCommitted::Failed(StagingError::RolledBack { apply, source })
            }
            Outcome::InDoubt(source) => {
                NotCommitted::Failed(StagingError::InDoubt { apply, source })
            }
            _ => NotCommitted::Failed(StagingError::NotRecovered { reason: UNKNOWN.to_owned() }),
        })
    }
}

/// The reason for an outcome of atomic-fs that this version does not know.
const UNKNOWN: &str = "its outcome is unknown";

/// Records that nobody knows yet whether a set is on the disk: recovery decides.
pub(crate) fn doubt(write: &mut Write<'_>, apply: ApplyId, reason: String) -> Result<()> {
    applies::decide(write, apply, ApplyOutcome::InDoubt, Some(&reason))?;
    write.log(Event::ApplyInDoubt { apply, reason })
}

/// Records that an apply's patches are on the disk, with the directories that it made, and those
/// that it removed or emptied.
pub(crate) fn commit(
    write: &mut Write<'_>,
    apply: ApplyId,
    made_dirs: &[RelPath],
    removed_dirs: &[applies::RemovedDir],
) -> Result<()> {
    applies::decide(write, apply, ApplyOutcome::Committed, None)?;
    applies::set_made_dirs(write, apply, made_dirs)?;
    applies::set_removed_dirs(write, apply, removed_dirs)?;
    match applies::undoes(write, apply)? {
        Some(target) => conclude_undo(write, apply, target)?,
        None => {
            for patch in patches::of_apply(write, apply)? {
                let (session, path) = (patch.session, patch.path);
                write.log(Event::PatchApplied { patch: patch.id, session, path, apply })?;
            }
        }
    }
    write.log(Event::ApplyCommitted { apply })
}

/// Records what an undo took off the disk. The apply is undone when nothing of it is left there.
fn conclude_undo(write: &mut Write<'_>, undo: ApplyId, target: ApplyId) -> Result<()> {
    let undoes: HashSet<PatchId> =
        patches::of_undo(write, undo, target)?.into_iter().map(|patch| patch.id).collect();
    let (undone, rest): (Vec<Patch>, Vec<Patch>) = patches::applied_by(write, target)?
        .into_iter()
        .partition(|patch| undoes.contains(&patch.id));
    if rest.is_empty() {
        applies::set_undone(write, target, undo)?;
    }
    let remaining = Some(rest.len() as u64).filter(|rest| *rest > 0);
    write.log(Event::ApplyUndone { apply: target, by: undo, remaining })?;
    put_back(write, target, undone)
}

/// Records that nothing changed; the patches can be decided again.
pub(crate) fn roll_back(write: &mut Write<'_>, apply: ApplyId, reason: &str) -> Result<()> {
    applies::decide(write, apply, ApplyOutcome::RolledBack, Some(reason))?;
    write.log(Event::ApplyRolledBack { apply, reason: reason.to_owned() })
}

/// The same, when files were not as expected: their patches are stale.
fn roll_back_stale(
    write: &mut Write<'_>,
    apply: ApplyId,
    approved: &[Patch],
    conflicts: &[Conflict],
    keep: bool,
) -> Result<Vec<Patch>> {
    roll_back(write, apply, &reason_of_conflicts(conflicts))?;
    let paths: HashSet<&RelPath> = conflicts.iter().map(|conflict| &conflict.path).collect();
    let concerned = |patch: &&Patch| {
        paths.contains(&patch.path) || patch.rename_to.as_ref().is_some_and(|to| paths.contains(to))
    };
    let mut stale = Vec::new();
    for patch in approved.iter().filter(concerned) {
        stale.extend(discard_one(write, patch, DiscardReason::Stale, None, keep)?);
    }
    Ok(stale)
}

pub(crate) fn reason_of_conflicts(conflicts: &[Conflict]) -> String {
    let named: Vec<String> = conflicts
        .iter()
        .map(|Conflict { path, difference }| format!("`{path}`: {difference}"))
        .collect();
    named.join("; ")
}

/// The error for an outcome that could not be recorded. When the files are swapped, recovery records
/// it from the journal.
pub(crate) fn unrecorded(apply: ApplyId, outcome: Outcome, error: StagingError) -> StagingError {
    match outcome {
        Outcome::Committed => StagingError::NotRecorded { apply, source: Box::new(error) },
        Outcome::InDoubt(source) => StagingError::InDoubt { apply, source },
        _ => error,
    }
}
