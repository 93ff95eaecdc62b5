//! What was decided about an agent's patches, until it has been told.

use serde::Serialize;

use crate::error::Result;
use crate::ids::PatchId;
use crate::layer::DiffStagingLayer;
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::store::patches;

/// What became of a patch, as its agent has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// It is on the disk.
    Applied,
    /// A person said no.
    Rejected,
    /// Its file changed: it has to be read again.
    Stale,
    /// Its session ended by silence.
    Expired,
    /// It was on the disk, and an undo took it off; it waits again, or can be redone.
    Undone,
    /// Its agent replaced it.
    Superseded,
}

impl Decision {
    /// Of a patch that was decided.
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

    /// The sentence for the agent, with what the person said and what to do next.
    pub fn sentence(patch: &Patch) -> String {
        let (id, path) = (patch.id, &patch.path);
        let said = patch.reason_text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        match Self::of(patch) {
            Self::Applied => format!("{id} {path} is applied"),
            Self::Rejected => format!("{id} {path} is discarded (rejected){said}"),
            Self::Stale => format!(
                "{id} {path} is discarded (stale){said}; read the file again before another proposal"
            ),
            Self::Expired => format!(
                "{id} {path} is discarded (its session expired){said}; propose it again if it is \
                 still wanted"
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
    /// What was decided about the patches of sessions of this label and not told their agent yet,
    /// in whatever process it was decided: applied, discarded, or pending again after an undo. What
    /// the agent replaced itself is not among them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unreported_decisions(&self, label: &str) -> Result<Vec<Patch>> {
        self.0.store.peek(|connection| patches::unreported(connection, label))
    }

    /// Notes that the agent of these patches has been told.
    ///
    /// # Errors
    /// When the store fails; the agent is told once more then.
    pub fn set_reported(&self, told: &[PatchId]) -> Result<()> {
        if told.is_empty() {
            return Ok(());
        }
        self.0
            .store
            .write(|write| told.iter().try_for_each(|patch| patches::set_reported(write, *patch)))
    }
}
