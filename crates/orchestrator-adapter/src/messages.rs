//! The messages that the actors answer.
//!
//! Some can be sent to a session and to the registry. Without ids a session means its own patches,
//! the registry those of all sessions. Ids may name patches of any session.

use std::sync::Arc;

use actix::prelude::*;
use staging_core::{
    ApplyReport, ApplyRequest, ApplyStatus, ClientApproval, ClosedSession, DiffOptions,
    EventRecord, NewComment, Patch, PatchId, PatchProposed, PatchRequest, Proposal, Proposed,
    RecoverReport, RedoReport, RedoRequest, RelPath, RequestId, Selector, Session, Signature,
    Status, UndoReport, UndoRequest, WatchHealth,
};
use tokio::sync::mpsc;

use crate::error::ActorError;

/// Declares the answer to each message.
macro_rules! answers {
    ($($message:ident => $answer:ty;)+) => {
        $(impl Message for $message {
            type Result = $answer;
        })+
    };
}

answers! {
    SafeWrite => Result<Proposed, ActorError>;
    SafeEdit => Result<Proposed, ActorError>;
    SafeDelete => Result<Proposed, ActorError>;
    SafeRename => Result<Proposed, ActorError>;
    SafeSetMode => Result<Proposed, ActorError>;
    StageAll => Result<Vec<Proposed>, ActorError>;
    ProposePatch => Result<PatchProposed, ActorError>;
    ReadThrough => Result<Option<Vec<u8>>, ActorError>;
    ShowDiff => Result<ShownDiff, ActorError>;
    ApplyPatch => Result<ApplyReport, ActorError>;
    ApplyChangeSet => Result<ApplyReport, ActorError>;
    PerformApply => Result<ApplyReport, ActorError>;
    UndoApply => Result<UndoReport, ActorError>;
    RedoApply => Result<RedoReport, ActorError>;
    RefreshPatches => Result<Vec<Proposed>, ActorError>;
    DiscardPatch => Result<Vec<Patch>, ActorError>;
    CloseSession => Result<ClosedSession, ActorError>;
    ListSessions => Result<Vec<Session>, ActorError>;
    AskStatus => Result<Status, ActorError>;
    AskApply => Result<Option<ApplyStatus>, ActorError>;
    AskWatchHealth => Option<WatchHealth>;
    Recover => Result<RecoverReport, ActorError>;
    Subscribe => Result<(), ActorError>;
    EventDelivery => ();
    OpenEvents => Result<mpsc::Receiver<EventDelivery>, ActorError>;
    Shutdown => Result<(), ActorError>;
    Stop => ();
}

/// Proposes new content for a file.
#[derive(Clone, Debug)]
pub struct SafeWrite {
    /// The file.
    pub path: RelPath,
    /// The whole new content.
    pub content: Vec<u8>,
    /// The permission bits; without them those of the existing file stay.
    pub mode: Option<u32>,
}

/// Proposes to replace one piece of text by another.
#[derive(Clone, Debug)]
pub struct SafeEdit {
    /// The file.
    pub path: RelPath,
    /// The text to replace; it must occur exactly once, unless `replace_all` is set.
    pub old: Vec<u8>,
    /// The new text.
    pub new: Vec<u8>,
    /// Whether to replace every occurrence.
    pub replace_all: bool,
}

/// Proposes to delete a file.
#[derive(Clone, Debug)]
pub struct SafeDelete {
    /// The file.
    pub path: RelPath,
}

/// Proposes to rename a file.
#[derive(Clone, Debug)]
pub struct SafeRename {
    /// The file.
    pub path: RelPath,
    /// The new path.
    pub to: RelPath,
}

/// Proposes to change the permission bits of a file.
#[derive(Clone, Debug)]
pub struct SafeSetMode {
    /// The file.
    pub path: RelPath,
    /// The new permission bits.
    pub mode: u32,
}

/// Proposes several changes, all or none. Each one sees those before it.
#[derive(Clone, Debug)]
pub struct StageAll {
    /// The changes, in order.
    pub proposals: Vec<Proposal>,
}

/// Proposes every change of a patch over many files, all or none.
#[derive(Clone, Debug)]
pub struct ProposePatch {
    /// The text of the patch, its directory, and the contents that it was made from.
    pub request: PatchRequest,
}

/// Reads a file as this session sees it; `None` when there is none.
#[derive(Clone, Debug)]
pub struct ReadThrough {
    /// The file.
    pub path: RelPath,
}

/// Asks for the diff of pending patches.
#[derive(Clone, Debug, Default)]
pub struct ShowDiff {
    /// The selection; empty for everything pending.
    pub ids: Vec<Selector>,
    /// How the diff is written.
    pub options: DiffOptions,
}

/// A diff and the signature that approves it.
#[derive(Clone, Debug)]
pub struct ShownDiff {
    /// The patches in the diff.
    pub patches: Vec<Patch>,
    /// The diff, as git writes it.
    pub text: Vec<u8>,
    /// The signature that approves exactly these patches.
    pub signature: Signature,
    /// Patches that were found stale by this call, and are discarded.
    pub stale: Vec<Patch>,
    /// Stale and expired patches of the selection that nobody has refreshed or discarded. An apply
    /// of the other patches needs [`ApplyChangeSet::rest`].
    pub lapsed: Vec<Patch>,
}

/// Applies one patch.
#[derive(Clone, Debug)]
pub struct ApplyPatch {
    /// The patch.
    pub patch: PatchId,
    /// The signature that was approved, which is the patch's own. Without it a patch that its agent has
    /// rewritten is refused: its id alone does not show which revision was read.
    pub expect: Option<Signature>,
    /// Whether a file without a diff may be replaced.
    pub confirm_full_replace: bool,
    /// A name for [`AskApply`]. A message with the name of an earlier one is not applied again.
    pub request: Option<RequestId>,
}

/// Applies patches together, all or none.
#[derive(Clone, Debug, Default)]
pub struct ApplyChangeSet {
    /// The selection; empty for everything pending in this session.
    pub ids: Vec<Selector>,
    /// The signature that was approved, which is the set's.
    pub expect: Option<Signature>,
    /// Whether files without a diff may be replaced.
    pub confirm_full_replace: bool,
    /// Whether to apply the other patches of a set of which some are stale or expired.
    pub rest: bool,
    /// A name for [`AskApply`]. A message with the name of an earlier one is not applied again.
    pub request: Option<RequestId>,
    /// The reviewer's words, which are kept with the apply.
    pub message: Option<String>,
    /// The client that asked its user, where the approval comes from a client.
    pub client_approved: Option<ClientApproval>,
}

/// Applies an approved set of any sessions.
#[derive(Clone, Debug)]
pub struct PerformApply {
    /// The set and its approval.
    pub request: ApplyRequest,
}

/// Undoes an applied set, or a part of it; the undone patches are pending again.
#[derive(Clone, Debug, Default)]
pub struct UndoApply {
    /// The apply, its patches and the approval.
    pub request: UndoRequest,
}

/// Applies an undone set again.
#[derive(Clone, Debug, Default)]
pub struct RedoApply {
    /// The undone apply and its approval.
    pub request: RedoRequest,
}

/// Proposes stale, expired or rejected patches again, merged with what their files hold now.
#[derive(Clone, Debug, Default)]
pub struct RefreshPatches {
    /// The selection; empty for everything stale or expired.
    pub ids: Vec<Selector>,
}

/// Rejects pending patches, and dismisses stale and expired ones. One that its agent has rewritten is
/// named with its revision, as [`Selector::seen`] does: its id alone does not show which one was read.
#[derive(Clone, Debug, Default)]
pub struct DiscardPatch {
    /// The selection; empty for everything pending.
    pub ids: Vec<Selector>,
    /// The reason, which the agent is shown.
    pub reason_text: Option<String>,
    /// Comments for single lines of what the patches stage, which the agent is shown.
    pub comments: Vec<NewComment>,
}

/// Ends the session: rejects its pending patches, and dismisses stale and expired ones.
#[derive(Clone, Debug, Default)]
pub struct CloseSession {
    /// The signature that its pending patches must have; the session stays open otherwise.
    pub expect: Option<Signature>,
    /// The reason, which the agent is shown.
    pub reason_text: Option<String>,
}

/// Asks for all sessions, including those that ended.
#[derive(Clone, Copy, Debug)]
pub struct ListSessions;

/// Asks for everything pending, by session.
#[derive(Clone, Copy, Debug)]
pub struct AskStatus;

/// Asks for the status of the apply with this name, as after a timeout or a restart. Any process can
/// ask, also while the apply runs.
///
/// The answer is `None` while no apply of that name has begun: it was refused, is still queued, or
/// never arrived. The same message can be sent again; a name is applied once at most.
#[derive(Clone, Debug)]
pub struct AskApply {
    /// The name of the apply.
    pub request: RequestId,
}

/// Asks whether the files of pending patches are watched or polled; `None` without `watch_files`.
#[derive(Clone, Copy, Debug)]
pub struct AskWatchHealth;

/// Finishes or rolls back the applies of dead processes.
#[derive(Clone, Copy, Debug)]
pub struct Recover;

/// Sends every event from now on to `recipient`.
pub struct Subscribe {
    /// The receiver of the events.
    pub recipient: Recipient<EventDelivery>,
}

/// An event for a subscriber.
#[derive(Clone, Debug)]
pub struct EventDelivery {
    /// The event.
    pub record: Arc<EventRecord>,
    /// The diff of a proposed patch, unless it is long or came from another process.
    pub diff: Option<Arc<[u8]>>,
    /// How many events before this one did not fit into the subscriber's mailbox. They can be read
    /// from the store.
    pub missed: u64,
}

/// Opens a channel for every event from now on.
pub(crate) struct OpenEvents;

/// Stops all actors after their queued messages. The answer comes when the last one has removed its
/// temporary files.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown;

/// Stops an actor once everything before it is answered.
pub(crate) struct Stop;
