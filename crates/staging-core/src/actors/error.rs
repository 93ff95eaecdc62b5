//! What an actor answers when it cannot do what it was asked.

use crate::error::{ErrorKind, StagingError};

/// An actor could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// The layer refused or failed.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The actor that has to do it has stopped.
    #[error("the {actor} has stopped: open the staging again, recovery runs by itself")]
    Stopped {
        /// Which.
        actor: &'static str,
    },
    /// The work panicked; what it had not finished is taken back by recovery.
    #[error("the work panicked: nothing was acknowledged")]
    Panicked,
}

impl ActorError {
    /// Which kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Staging(source) => source.kind(),
            Self::Stopped { .. } | Self::Panicked => ErrorKind::Busy,
        }
    }
}
