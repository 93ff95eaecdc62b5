//! Why a tool did not do what it was asked, in words for the agent.

use std::error::Error;

use orchestrator_adapter::ActorError;
use staging_core::{StagingError, with_causes};

/// A tool call came to nothing: nothing was staged by it, and nothing taken back.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// The session takes no calls any more.
    pub(crate) session_ended: bool,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), session_ended: false }
    }

    fn of(error: &dyn Error, staging: Option<&StagingError>) -> Self {
        let session_ended = matches!(
            staging,
            Some(StagingError::SessionNotOpen { .. } | StagingError::SessionNotFound { .. })
        );
        let mut message = with_causes(error);
        match staging {
            Some(StagingError::Stale { .. }) => {
                message.push_str("; read the file again and propose anew");
            }
            Some(StagingError::LostParts { .. }) => {
                message.push_str("; read these files again and propose them anew, or discard them");
            }
            _ => {}
        }
        Self { message, session_ended }
    }
}

impl From<StagingError> for Failure {
    fn from(error: StagingError) -> Self {
        Self::of(&error, Some(&error))
    }
}

impl From<ActorError> for Failure {
    fn from(error: ActorError) -> Self {
        match error {
            ActorError::Staging(error) => error.into(),
            error => Self::of(&error, None),
        }
    }
}
