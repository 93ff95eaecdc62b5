//! Applying an undone set again, whole or not at all.

use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError};
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::locks::unpoisoned;
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::report::{RedoReport, Reversible};
use crate::request::RedoRequest;
use crate::signing::set_signature;
use crate::store::applies::{FORGOTTEN, Reversal, Start};
use crate::store::{applies, patches};

impl DiffStagingLayer {
    /// The undone set that [`redo`](DiskOwner::redo) would apply again.
    ///
    /// # Errors
    /// `NotRedoable`, `NothingToRedo`.
    pub fn redoable(&self, apply: Option<ApplyId>) -> Result<Reversible> {
        self.0.undone(apply)
    }
}

impl DiskOwner {
    /// Applies an undone set again, the one that was undone last by default: all of its patches
    /// or none, those as well that a further undo took out of what is pending. Call
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
        let lock = inner.begin(&mut gate)?;
        let Reversible { apply, patches, signature: found } = inner.undone(request.apply)?;
        if let Some(expected) = request.expect
            && expected != found
        {
            return Err(StagingError::SignatureMismatch { expected, found });
        }
        let is_own = inner.store.peek(|connection| applies::is_own(connection, apply))?;
        let start = Start { is_own, redoes: Some(apply), ..Start::by(&request.approval) };
        let report =
            inner.bring(&mut gate, lock, &patches, &start).map_err(|error| match error {
                StagingError::NotRefreshable { reason, .. } => {
                    StagingError::NotRedoable { apply, reason }
                }
                error => error,
            })?;
        Ok(RedoReport { redone: apply, report })
    }
}

impl Inner {
    /// The apply to repeat with its patches, if it can be.
    fn undone(&self, asked: Option<ApplyId>) -> Result<Reversible> {
        self.store.read(|connection| {
            let newest = || applies::newest_undone(connection)?.ok_or(StagingError::NothingToRedo);
            let apply = asked.map_or_else(newest, Ok)?;
            let refused =
                |reason: &str| Err(StagingError::NotRedoable { apply, reason: reason.to_owned() });
            match applies::reversal(connection, apply)? {
                None => return refused("there is no such apply"),
                Some(Reversal { undone_by: None, .. }) => return refused("it was not undone"),
                Some(Reversal { is_forgotten: true, .. }) => return refused(FORGOTTEN),
                Some(_) => {}
            }
            let patches = patches::of_apply(connection, apply)?;
            let decided = |patch: &&Patch| match (patch.state, patch.reason) {
                (PatchState::Pending, _) => false,
                (_, Some(DiscardReason::Undone | DiscardReason::Stale)) => !patch.content_kept,
                _ => true,
            };
            if let Some(patch) = patches.iter().find(decided) {
                let (id, state) = (patch.id, patch.state);
                let reason = patch.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                return refused(&format!("{id} is {state}{reason}"));
            }
            Ok(Reversible { apply, signature: set_signature(&patches), patches })
        })
    }
}
