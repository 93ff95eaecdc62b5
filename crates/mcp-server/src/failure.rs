//! Why a tool failed, in words for the agent.

use std::error::Error;

use orchestrator_adapter::ActorError;
use staging_core::{StagingError, with_causes};

/// A tool call failed: it staged nothing and withdrew nothing.
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
                message.push_str("; read the file again and propose the change again");
            }
            Some(StagingError::LostParts { .. }) => {
                message.push_str("; read these files again and propose their changes again, or discard the patches");
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
        Self::of(&error, error.staging())
    }
}
