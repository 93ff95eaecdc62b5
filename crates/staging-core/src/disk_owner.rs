//! The owner of the workspace's disk: the one handle that changes files of a user.

use std::ops::Deref;

use crate::error::Result;
use crate::layer::DiffStagingLayer;
use crate::options::StagingOptions;

/// A workspace's state, opened by the process that may change the workspace: apply, undo, redo,
/// recovery and the sweep are its methods, and it cannot be cloned.
///
/// Everything else is a method of the [`DiffStagingLayer`] in it, whose clones
/// ([`layer`](Self::layer)) stage, read and decide, and cannot apply. All calls block, and any thread
/// may make them. Several processes may own the disk of one workspace: the workspace's lock orders
/// what they do.
///
/// ```compile_fail,E0599
/// # fn with(layer: staging_core::DiffStagingLayer) -> staging_core::Result<()> {
/// layer.apply(&staging_core::ApplyRequest::default())?;
/// # Ok(())
/// # }
/// ```
///
/// One exception is not a choice of any caller: a clone that waits for an apply whose process has
/// died finishes that apply, or rolls it back, as recovery does.
pub struct DiskOwner(DiffStagingLayer);

impl DiskOwner {
    /// Opens the workspace's state, creating it where there is none.
    ///
    /// Finishes or undoes what a dead process left, unless another process is at
    /// it, and ends sessions whose time has run out.
    ///
    /// # Errors
    /// When the workspace or the state directory cannot be used, or the state belongs to another
    /// workspace or to a newer version.
    pub fn open(options: StagingOptions) -> Result<Self> {
        let layer = DiffStagingLayer::open_as_it_is(options)?;
        // Reading does not need it; every call that changes the workspace recovers first.
        if let Err(error) = layer.0.recover_if_free() {
            tracing::warn!(%error, "what a dead process left is not recovered yet");
        }
        match layer.0.sweep_at_start() {
            // A state that cannot be written can still be read; the next change reports it.
            Err(error) if error.is_unwritable() => {
                tracing::debug!(%error, "what is old or orphaned stays until the next start");
            }
            swept => swept?,
        }
        Ok(Self(layer))
    }

    /// A clone of the layer, which cannot change the workspace.
    pub fn layer(&self) -> DiffStagingLayer {
        self.0.clone()
    }
}

impl Deref for DiskOwner {
    type Target = DiffStagingLayer;

    fn deref(&self) -> &DiffStagingLayer {
        &self.0
    }
}
