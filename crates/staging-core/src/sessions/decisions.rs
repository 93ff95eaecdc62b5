//! Decisions about an agent's patches that its agent has not received yet.

use serde::Serialize;

use crate::error::Result;
use crate::ids::PatchId;
use crate::layer::DiffStagingLayer;
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::store::patches;

/// The decision about a patch, for its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// It was applied.
    Applied,
    /// A person rejected it.
    Rejected,
    /// Its file changed: the agent has to read it again.
    Stale,
    /// Its session expired.
    Expired,
    /// It was applied and undone; it is pending again, or can be redone.
    Undone,
    /// Its agent replaced it.
    Superseded,
}

impl Decision {
    /// The decision about a patch; a pending patch counts as undone.
    pub fn of(patch: &Patch) -> Self {
        match (patch.state, patch.reason) {
            (PatchState::Applied, _) => Self::Applied,
            (PatchState::Pending, _) | (_, Some(DiscardReason::Undone)) => Self::Undone,
            (PatchState::Discarded, Some(DiscardReason::Stale)) => Self::Stale,
            (PatchState::Discarded, Some(DiscardReason::SessionExpired)) => Self::Expired,
            (PatchState::Discarded, Some(DiscardReason::Superseded)) => Self::Superseded,
            (PatchState::Discarded, Some(DiscardReason::Rejected) | None) => Self::Rejected,
        }
    }

    /// The sentence for the agent, with the reviewer's reason and the next step.
    pub fn sentence(patch: &Patch) -> String {
        let (id, path) = (patch.id, &patch.path);
        let why = patch.reason_text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        match Self::of(patch) {
            Self::Applied => format!("{id} {path} is applied"),
            Self::Rejected => format!("{id} {path} is discarded (rejected){why}"),
            Self::Stale => format!(
                "{id} {path} is discarded (stale){why}; read the file again before another proposal"
            ),
            Self::Expired => format!(
                "{id} {path} is discarded (its session expired){why}; propose it again if it is \
                 still needed"
            ),
            Self::Undone if patch.state == PatchState::Pending => format!(
                "{id} {path} was undone: the file is as it was before, and the patch is pending again"
            ),
            Self::Undone => format!("{id} {path} was undone: the file is as it was before"),
            Self::Superseded => format!("{id} {path} was replaced"),
        }
    }
}

impl DiffStagingLayer {
    /// The patches of sessions of this label whose decision their agent has not received yet,
    /// whichever process made it: applied, discarded, or pending again after an undo. Patches that
    /// the agent replaced itself are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn unreported_decisions(&self, label: &str) -> Result<Vec<Patch>> {
        self.0.store.peek(|connection| patches::unreported(connection, label))
    }

    /// Records that the agent of these patches has received the decisions.
    ///
    /// # Errors
    /// When the store cannot be written to; the agent receives the decisions again then.
    pub fn set_reported(&self, reported: &[PatchId]) -> Result<()> {
        if reported.is_empty() {
            return Ok(());
        }
        self.0.store.write(|write| {
            reported.iter().try_for_each(|patch| patches::set_reported(write, *patch))
        })
    }
}
