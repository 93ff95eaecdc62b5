//! Applying an undone set again, whole or not at all.

use rusqlite::Connection;

use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError};
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::locks::unpoisoned;
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::report::{RedoReport, Reversible};
use crate::request::RedoRequest;
use crate::signing::set_signature;
use crate::store::applies::{FORGOTTEN, Start};
use crate::store::{applies, patches};

impl DiffStagingLayer {
    /// The undone patches that [`redo`](DiskOwner::redo) would apply again.
    ///
    /// # Errors
    /// `NotRedoable`, `NothingToRedo`.
    pub fn redoable(&self, apply: Option<ApplyId>) -> Result<Reversible> {
        self.0.undone(apply)
    }
}

impl DiskOwner {
    /// Applies again what an undo undid, the last one by default: all of its patches or none, those as
    /// well that a further undo took out of what is pending. Of an apply it is everything that was
    /// undone and was not applied again. Call
    /// [`tidy`](Self::tidy) once the answer is given.
    ///
    /// # Durability
    /// As [`apply`](DiskOwner::apply).
    ///
    /// # Errors
    /// `NotRedoable` when one of its patches was decided since, `NothingToRedo`,
    /// `SignatureMismatch`; `Stale`, `RolledBack` and `InDoubt` as for an apply.
    pub fn redo(&self, request: &RedoRequest) -> Result<RedoReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let lock = inner.begin_set(&mut gate)?;
        let Reversible { apply, patches, signature: found, .. } = inner.undone(request.apply)?;
        if let Some(expected) = request.expect
            && expected != found
        {
            return Err(StagingError::SignatureMismatch { expected, found });
        }
        let is_own = inner.store.peek(|connection| applies::is_own(connection, apply))?;
        let start = Start { is_own, redoes: Some(apply), ..Start::by(&request.approval) };
        let report = inner.bring(&mut gate, lock, &patches, &start, &|_| Ok(())).map_err(
            |error| match error {
                StagingError::NotRefreshable { reason, .. } => {
                    StagingError::NotRedoable { apply, reason }
                }
                error => error,
            },
        )?;
        Ok(RedoReport { redone: apply, report })
    }
}

impl Inner {
    /// The patches to apply again, if they can be.
    fn undone(&self, asked: Option<ApplyId>) -> Result<Reversible> {
        self.store.read(|connection| {
            let newest = || applies::newest_undone(connection)?.ok_or(StagingError::NothingToRedo);
            let asked = asked.map_or_else(newest, Ok)?;
            match applies::reversal(connection, asked)?.and_then(|reversal| reversal.undoes) {
                Some(target) if applies::is_of_whole(connection, asked)? => {
                    redoable(connection, target, None)
                }
                Some(target) => redoable(connection, target, Some(asked)),
                None => redoable(connection, asked, None),
            }
        })
    }
}

/// What can be applied again of an apply: what one undo undid of it, or all that was undone.
fn redoable(connection: &Connection, apply: ApplyId, undo: Option<ApplyId>) -> Result<Reversible> {
    let from = undo.unwrap_or(apply);
    let refused =
        |reason: &str| Err(StagingError::NotRedoable { apply: from, reason: reason.to_owned() });
    match applies::reversal(connection, from)? {
        None => return refused("there is no such apply"),
        Some(reversal) if !reversal.is_committed => return refused("it never reached the disk"),
        Some(reversal) if reversal.is_forgotten => return refused(FORGOTTEN),
        Some(_) => {}
    }
    let mut patches = patches::of_apply(connection, from)?;
    // What is still applied by this apply was not undone.
    patches.retain(|patch| patch.apply != Some(apply) || !is_applied(patch));
    if patches.is_empty() {
        return refused("it was not undone");
    }
    // What was applied again is done, unless that is all of it.
    if !patches.iter().all(is_applied) {
        patches.retain(|patch| !is_applied(patch));
    }
    if let Some(patch) = patches.iter().find(|patch| is_decided(patch)) {
        if let Some(of) = patch.revision_of {
            return refused(&format!("{of} was rewritten since"));
        }
        let (id, state) = (patch.id, patch.state);
        let reason = patch.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        return refused(&format!("{id} is {state}{reason}"));
    }
    Ok(Reversible { apply, undo, signature: set_signature(&patches), patches })
}

fn is_applied(patch: &Patch) -> bool {
    patch.state == PatchState::Applied
}

/// Whether a patch was decided since it was undone.
fn is_decided(patch: &Patch) -> bool {
    match (patch.state, patch.reason) {
        (PatchState::Pending, _) => false,
        (_, Some(DiscardReason::Undone | DiscardReason::Stale)) => !patch.content_kept,
        _ => true,
    }
}
