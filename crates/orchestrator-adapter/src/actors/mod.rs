//! The actors: who may do what, in which order, on which thread.
//!
//! [`Registry::launch`] starts them all. Everything that blocks runs off the
//! event loop: disk swaps on the FsActor's own thread, the rest on the blocking
//! pool, at most `proposals_in_flight_max` calls at once. A session's mailbox pauses while
//! one of its messages is worked on, so its agent is answered in the order it asked;
//! what several sessions propose meanwhile is staged as one batch.
//!
//! Mailboxes hold `mailbox_capacity` messages: use `send`, which waits for room,
//! or `try_send`, which does not. `do_send` ignores the limit.

mod error;
mod events;
mod fs;
mod maintenance;
mod pool;
mod registry;
mod session;

pub use error::ActorError;
pub use events::{EventDelivery, Subscribe};
pub use fs::{PerformApply, Recover, RedoApply, UndoApply};
pub(crate) use registry::OpenEvents;
pub use registry::{
    AskApply, AskStatus, AskWatchHealth, ListSessions, OpenSession, OpenedSession, Registry,
    Shutdown,
};
pub use session::{
    ApplyChangeSet, ApplyPatch, CloseSession, DiscardPatch, ProposePatch, ReadThrough,
    RefreshPatches, SafeDelete, SafeEdit, SafeRename, SafeSetMode, SafeWrite, SessionActor,
    ShowDiff, ShownDiff, StageAll,
};
