//! Actors by which orchestrators and their agents use Greenroom.
//!
//! An orchestrator opens a [`Staging`] over a workspace, opens a session for each agent, and sends
//! messages to the actor of that session. What an
//! agent writes waits outside the workspace until somebody sends
//! [`ApplyChangeSet`] or [`DiscardPatch`].
//!
//! ```no_run
//! use orchestrator_adapter::{ApplyChangeSet, ShowDiff, Staging, StagingOptions, safe_write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! actix::System::new().block_on(async {
//!     let staging = Staging::open(StagingOptions::new("project", "state/project")).await?;
//!     let session = staging.open_session("refactorer").await?;
//!     safe_write(&session.actor, "src/greeting.txt", "good evening\n").await?;
//!
//!     let shown = session.actor.send(ShowDiff::default()).await??;
//!     println!("{}", String::from_utf8_lossy(&shown.text));
//!     let approval = ApplyChangeSet { expect: Some(shown.signature), ..Default::default() };
//!     session.actor.send(approval).await??;
//!     staging.shutdown().await?;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! `examples/orchestrator.rs` is the same at its real size.

mod actors;
mod error;
mod messages;
mod staging;

pub use staging::{Events, Staging, safe_write};

pub use actix;
pub use actors::{OpenSession, OpenedSession, Registry, SessionActor};
pub use error::ActorError;
pub use messages::{
    ApplyChangeSet, ApplyPatch, AskApply, AskStatus, AskWatchHealth, CloseSession, DiscardPatch,
    EventDelivery, ListSessions, PerformApply, ProposePatch, ReadThrough, Recover, RedoApply,
    RefreshPatches, SafeDelete, SafeEdit, SafeRename, SafeSetMode, SafeWrite, ShowDiff, ShownDiff,
    Shutdown, StageAll, Subscribe, UndoApply,
};
pub use staging_core::{
    Activity, ApplyId, ApplyOutcome, ApplyReport, ApplyRequest, ApplyStatus, Approval,
    ApprovalMeans, ApprovalRules, ApproveRule, AskGlobs, AskRule, Base, ChildLimits,
    ClientApproval, ClosedSession, Confinement, Contested, DiffOptions, DiffStagingLayer,
    DiffSummary, Digest, DiscardReason, DiskOwner, EntryKind, ErrorKind, Event, EventRecord,
    Fingerprint, FittedFile, GlobMistake, Hosting, IdParseError, InDoubtApply, LabelGlobs,
    LineComment, MatchLevel, NewComment, Operation, Patch, PatchApply, PatchId, PatchNames,
    PatchProposed, PatchRequest, PatchState, PathError, PathGlobs, Placement, PluginHost, Policy,
    Process, Proposal, Proposed, QuarantinedJournal, RecoverReport, RecoveredApply, RedoReport,
    RedoRequest, RelPath, RequestId, RequestIdError, ReviewCommands, Selector, Session, SessionId,
    SessionState, SessionStatus, Signature, StagingError, StagingOptions, Status, Timestamp,
    TrustedLibrary, UndoReport, UndoRequest, WaitObserver, Waiting, WatchHealth, escape_bytes,
    escape_for_display, escape_line_for_display, patch_line, serve_plugin, workspace_key,
};
