//! Stages what commands of a session have written in views of their own, so that its tools see it.

use staging_core::{DiffStagingLayer, SessionId};

use crate::failure::Failure;

/// Stages what the session's commands have written so far; nothing where it has run none.
#[cfg(target_os = "linux")]
pub(crate) fn import(layer: &DiffStagingLayer, session: SessionId) -> Result<(), Failure> {
    capture::SessionCapture::of(layer, session).import()?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn import(_: &DiffStagingLayer, _: SessionId) -> Result<(), Failure> {
    Ok(())
}

/// Stages what the commands of all sessions have written. What an expired session has left goes to the
/// open one of its label. A session whose capture cannot be read does not keep another from working.
#[cfg(target_os = "linux")]
pub(crate) fn import_all(layer: &DiffStagingLayer) {
    let failed = |error: &capture::CaptureError| {
        tracing::warn!(error = staging_core::with_causes(error), "not everything is staged");
    };
    match capture::import_all(layer) {
        Ok(all) => all.iter().filter_map(|one| one.as_ref().err()).for_each(failed),
        Err(error) => failed(&error),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn import_all(_: &DiffStagingLayer) {}

#[cfg(target_os = "linux")]
impl From<capture::CaptureError> for Failure {
    fn from(error: capture::CaptureError) -> Self {
        match error {
            capture::CaptureError::Staging(error) => error.into(),
            error => Self::new(staging_core::with_causes(&error)),
        }
    }
}
