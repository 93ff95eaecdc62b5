//! Why a client could not be served to its end.

use std::path::PathBuf;

use orchestrator_adapter::ActorError;

/// A client could not be served to the end of its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The workspace or its state cannot be opened, or the actors failed.
    #[error(transparent)]
    Staging(#[from] ActorError),
    /// The workspace's root cannot be found.
    #[error("cannot find the workspace `{}`", path.display())]
    Workspace {
        /// The root, as it was given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no random bytes for the key that questions are sealed with.
    #[error("cannot make a key for questions to the client: {reason}")]
    Key {
        /// What the system said.
        reason: String,
    },
    /// The client could not be talked to.
    #[error("the client cannot be served: {reason}")]
    Client {
        /// Why.
        reason: String,
    },
}
