//! The error of the actors.

use staging_core::{ErrorKind, RelPath, StagingError};

/// An actor could not do what a message asks. The workspace is unchanged, except that after
/// [`Panicked`](Self::Panicked), [`Stopped`](Self::Stopped) and errors of the kind
/// [`InDoubt`](ErrorKind::InDoubt) an apply, undo or redo may be on the disk. Recovery decides it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// The layer refused or failed.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The actor has stopped, perhaps before it answered what it had done.
    #[error("the {actor} has stopped: open the staging again, recovery runs by itself")]
    Stopped {
        /// The name of the actor.
        actor: &'static str,
    },
    /// The work panicked; recovery rolls back what it had not finished.
    #[error("the work panicked: nothing was acknowledged")]
    Panicked,
}

impl ActorError {
    /// Which kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Staging(source) => source.kind(),
            Self::Stopped { .. } => ErrorKind::Stopped,
            Self::Panicked => ErrorKind::Panicked,
        }
    }

    /// The file that it is about, when it is about one.
    pub fn path(&self) -> Option<&RelPath> {
        self.staging().and_then(StagingError::path)
    }

    /// What the layer reports, unless the actor could not answer.
    pub fn staging(&self) -> Option<&StagingError> {
        match self {
            Self::Staging(source) => Some(source),
            Self::Stopped { .. } | Self::Panicked => None,
        }
    }
}
