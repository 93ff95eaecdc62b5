//! What was decided about an agent's patches, until it has been told.

use super::DiffStagingLayer;
use crate::Result;
use crate::ids::PatchId;
use crate::patch::Patch;
use crate::store::patches;

impl DiffStagingLayer {
    /// What was decided about the patches of sessions of this label and not told their agent yet,
    /// in whatever process it was decided: applied, discarded, or pending again after an undo. What
    /// the agent replaced itself is not among them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unreported_decisions(&self, label: &str) -> Result<Vec<Patch>> {
        self.0.store.look(|connection| patches::unreported(connection, label))
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
