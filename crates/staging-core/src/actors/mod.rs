//! The actors: who may do what, in which order, on which thread.
//!
//! [`Registry::launch`] starts them all. Everything that blocks runs off the
//! event loop: disk swaps on the FsActor's own thread, the rest on the blocking
//! pool, at most `proposals_in_flight_max` calls at once. A session takes messages out
//! of its mailbox into a short line and serves that one after the other, so its agent
//! is answered in the order it asked; proposals next to each other in line are staged
//! together.
//!
//! Mailboxes hold `mailbox_capacity` messages: use `send`, which waits for room,
//! or `try_send`, which does not. `do_send` ignores the limit.

mod error;
mod events;
mod fs;
mod pool;
mod registry;
mod session;
mod worker;

pub use error::{
    ActorError, ApplyError, AskError, CloseError, DiscardError, ListError, OpenError, ProposeError,
    ReadError, RecoverError, RefreshError, ShowError, ShutdownError, SubscribeError,
};
pub use events::{EventDelivery, EventsActor, Subscribe};
pub use fs::{FsActor, PerformApply, Recover, RedoApply, UndoApply};
pub use registry::{
    AskApply, AskWatchHealth, ListSessions, OpenSession, OpenedSession, Registry, Shutdown,
};
pub use session::{
    ApplyChangeSet, ApplyPatch, CloseSession, DiscardPatch, ProposePatch, ReadThrough,
    RefreshPatches, SafeDelete, SafeEdit, SafeRename, SafeSetMode, SafeWrite, SessionActor,
    ShowDiff, ShownDiff, StageAll,
};
pub use worker::InTurn;
