//! What an actor answers when it cannot do what it was asked: one enum for each
//! message, of what an orchestrator decides by.
//!
//! What a variant holds says it in words and carries the patches concerned. With every
//! error but [`ApplyError::InDoubt`] the workspace is as it was.

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

macro_rules! message_error {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $($kind:ident)|+,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$variant_doc])*
                #[error(transparent)]
                $variant(StagingError),
            )*
            /// Something else failed: the system, the store.
            #[error(transparent)]
            Failed(StagingError),
            /// The actor has stopped, or its work panicked; the next one works.
            #[error(transparent)]
            Unanswered(ActorError),
        }

        impl $name {
            /// Which kind of error it is.
            pub fn kind(&self) -> ErrorKind {
                match self {
                    $(Self::$variant(source) => source.kind(),)*
                    Self::Failed(source) => source.kind(),
                    Self::Unanswered(source) => source.kind(),
                }
            }

            /// What the layer said, unless the actor could not answer.
            pub fn staging(&self) -> Option<&StagingError> {
                match self {
                    $(Self::$variant(source) => Some(source),)*
                    Self::Failed(source) => Some(source),
                    Self::Unanswered(_) => None,
                }
            }
        }

        impl From<StagingError> for $name {
            fn from(source: StagingError) -> Self {
                match source.kind() {
                    $($(ErrorKind::$kind)|+ => Self::$variant(source),)*
                    _ => Self::Failed(source),
                }
            }
        }

        impl From<ActorError> for $name {
            fn from(error: ActorError) -> Self {
                match error {
                    ActorError::Staging(source) => source.into(),
                    stopped => Self::Unanswered(stopped),
                }
            }
        }
    };
}

message_error! {
    /// Nothing was staged.
    ProposeError {
        /// The file changed since the agent read it; its patch is discarded, and the
        /// agent has to read the file again.
        Stale = Stale,
        /// The path or the mode is protected.
        Refused = Refused,
        /// The text to replace is not in the file exactly once.
        NoMatch = NoMatch,
        /// There is no such file, or no such session.
        NotFound = NotFound,
        /// It contradicts something that is pending or on disk.
        Conflict = Conflict,
        /// The session's or the store's limit is reached: decide what is pending.
        Limit = Limit,
        /// The session has ended: open another one.
        SessionEnded = Closed,
        /// An apply or another process is at it: try again.
        Busy = Busy,
    }
}

message_error! {
    /// Nothing was read.
    ReadError {
        /// The path is protected, or is no file.
        Refused = Refused,
        /// The session has ended.
        SessionEnded = Closed,
        /// The content is not what was stored.
        Damaged = Damaged,
    }
}

message_error! {
    /// Nothing can be shown.
    ShowError {
        /// A patch was decided meanwhile: ask again.
        Decided = Closed,
        /// A content is not what was stored.
        Damaged = Damaged,
    }
}

message_error! {
    /// Nothing was applied, unless it is [`InDoubt`](Self::InDoubt).
    ApplyError {
        /// Files changed since the agent saw them and their patches are discarded, or patches of
        /// the set are stale or expired already; for an undo, files changed since the apply.
        Stale = Stale,
        /// Something else than what was approved is pending: review it again.
        SignatureMismatch = SignatureMismatch,
        /// Files are replaced as a whole, which wants a confirmation.
        ConfirmationMissing = ConfirmationMissing,
        /// Two patches concern one file, or one needs another.
        Conflict = Conflict,
        /// A patch was decided already.
        Decided = Closed,
        /// There is no such patch, or nothing is pending.
        NotFound = NotFound,
        /// A file is open for writing, or another apply is at it: try again.
        Busy = Busy,
        /// The path is protected.
        Refused = Refused,
        /// A content is not what was approved.
        Damaged = Damaged,
        /// A sync failed after the swaps: recovery decides; ask with `AskApply`.
        InDoubt = InDoubt,
    }
}

message_error! {
    /// Nothing was staged of the session that it is about.
    RefreshError {
        /// The agent and somebody else changed the same lines.
        Conflict = Conflict,
        /// A patch is pending and its file unchanged, or applied, or too old to be kept.
        Decided = Closed,
        /// There is no such patch or session.
        NotFound = NotFound,
        /// A file changed while it was looked at.
        Stale = Stale,
        /// The session's or the store's limit is reached: decide what is pending.
        Limit = Limit,
        /// An apply or another process is at it: try again.
        Busy = Busy,
    }
}

message_error! {
    /// Nothing was discarded.
    DiscardError {
        /// A patch was decided already.
        Decided = Closed,
        /// There is no such patch or session.
        NotFound = NotFound,
        /// An apply is bringing the patches to the disk: try again.
        Busy = Busy,
    }
}

message_error! {
    /// The session stays as it was.
    CloseError {
        /// An apply is bringing its patches to the disk: try again.
        Busy = Busy,
    }
}

message_error! {
    /// No session was opened.
    OpenError {
        /// The label cannot be one.
        BadLabel = Usage,
    }
}

message_error! {
    /// The sessions cannot be listed.
    ListError {}
}

message_error! {
    /// Nobody is subscribed.
    SubscribeError {}
}

message_error! {
    /// It cannot be told how an apply stands.
    AskError {}
}

message_error! {
    /// Recovery could not finish; what was recovered so far stays so.
    RecoverError {
        /// A broken apply could not be decided yet.
        InDoubt = InDoubt,
    }
}

message_error! {
    /// The actors may not have done all that was left to do.
    ShutdownError {}
}
