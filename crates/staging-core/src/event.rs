//! The published event schema: what happened, in the order it happened.

use std::sync::Arc;

use atomic_fs::RelPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::Approval;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiffSummary, DiscardReason, Operation};
use crate::signature::Signature;
use crate::time::Timestamp;

/// The version of the schema; it grows when a field changes its meaning.
pub const EVENT_SCHEMA: u32 = 1;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A session was opened.
    SessionOpened {
        /// Which.
        session: SessionId,
        /// Its name.
        label: String,
    },
    /// An agent proposed a change.
    PatchProposed {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// Where a rename moves it.
        #[schemars(with = "Option<String>")]
        rename_to: Option<RelPath>,
        /// What it does.
        operation: Operation,
        /// Which revision it is.
        revision: u32,
        /// What an approval of it names.
        signature: Signature,
        /// The diff in numbers.
        diff: DiffSummary,
    },
    /// An agent replaced its patch, or took it back.
    PatchSuperseded {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The patch in its place; `None` when the change was taken back.
        by: Option<PatchId>,
    },
    /// A patch is on the disk.
    PatchApplied {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The apply that brought it in.
        apply: ApplyId,
    },
    /// A patch was rejected, or ended with its session.
    PatchDiscarded {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// Why.
        reason: DiscardReason,
        /// What the person said.
        text: Option<String>,
    },
    /// The file changed since the agent saw it; the patch is discarded.
    PatchStale {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
    },
    /// A patch that was stale or had expired was proposed anew.
    PatchRefreshed {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The patch in its place; `None` when the change is on the disk already.
        by: Option<PatchId>,
    },
    /// A patch that was stale or had expired is dismissed: its session does not list it any
    /// longer.
    PatchDismissed {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// What the person said.
        text: Option<String>,
    },
    /// An undo took a patch off the disk; it waits for a decision again.
    PatchReopened {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
    },
    /// An approved set is on its way to the disk.
    ApplyStarted {
        /// The apply.
        apply: ApplyId,
        /// Its patches.
        patches: Vec<PatchId>,
        /// What was approved.
        signature: Signature,
        /// The client by whose word it was approved; not there when a reviewer gave it to
        /// Greenroom itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_approved: Option<ClientApproval>,
        /// How the approval was given; not there in entries of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<Approval>,
        /// The apply that it takes back, when it is an undo.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undoes: Option<ApplyId>,
        /// The undone apply whose patches it applies again, when it is a redo.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redoes: Option<ApplyId>,
    },
    /// An approved set is on the disk, durably.
    ApplyCommitted {
        /// The apply.
        apply: ApplyId,
    },
    /// An apply failed, and everything is as it was.
    ApplyRolledBack {
        /// The apply.
        apply: ApplyId,
        /// What failed.
        reason: String,
    },
    /// A sync failed after the swaps: recovery decides.
    ApplyInDoubt {
        /// The apply.
        apply: ApplyId,
        /// What failed.
        reason: String,
    },
    /// An applied set was taken back: its files are what they were before it.
    ApplyUndone {
        /// The apply.
        apply: ApplyId,
        /// The apply that took it back.
        by: ApplyId,
    },
    /// The process that served a session is gone; the session stays open until it
    /// expires.
    SessionOrphaned {
        /// Which.
        session: SessionId,
        /// The number of the process.
        pid: u32,
    },
    /// Another process serves an orphaned session now.
    SessionAdopted {
        /// Which.
        session: SessionId,
        /// The number of the process.
        pid: u32,
    },
    /// A session was closed.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// A session ended by silence.
    SessionExpired {
        /// Which.
        session: SessionId,
    },
    /// Recovery decided a broken apply.
    Recovered {
        /// The apply, when the store still knew it.
        apply: Option<ApplyId>,
        /// The change set's id in the journal.
        set: String,
        /// Whether it is on the disk; else it was undone.
        committed: bool,
    },
}

impl Event {
    /// The session that it is about, where it names one.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::SessionOpened { session, .. }
            | Self::PatchProposed { session, .. }
            | Self::PatchSuperseded { session, .. }
            | Self::PatchApplied { session, .. }
            | Self::PatchDiscarded { session, .. }
            | Self::PatchStale { session, .. }
            | Self::PatchRefreshed { session, .. }
            | Self::PatchDismissed { session, .. }
            | Self::PatchReopened { session, .. }
            | Self::SessionOrphaned { session, .. }
            | Self::SessionAdopted { session, .. }
            | Self::SessionClosed { session }
            | Self::SessionExpired { session } => Some(*session),
            Self::ApplyStarted { .. }
            | Self::ApplyCommitted { .. }
            | Self::ApplyRolledBack { .. }
            | Self::ApplyInDoubt { .. }
            | Self::ApplyUndone { .. }
            | Self::Recovered { .. } => None,
        }
    }

    /// Whether it names a patch: as its own, or as one that took another's place.
    pub fn names_patch(&self, id: PatchId) -> bool {
        match self {
            Self::PatchSuperseded { patch, by, .. } | Self::PatchRefreshed { patch, by, .. } => {
                *patch == id || *by == Some(id)
            }
            Self::PatchProposed { patch, .. }
            | Self::PatchApplied { patch, .. }
            | Self::PatchDiscarded { patch, .. }
            | Self::PatchStale { patch, .. }
            | Self::PatchDismissed { patch, .. }
            | Self::PatchReopened { patch, .. } => *patch == id,
            Self::ApplyStarted { patches, .. } => patches.contains(&id),
            _ => false,
        }
    }

    /// Whether it names an apply: as its own, or as one that was taken back or repeated.
    pub fn names_apply(&self, id: ApplyId) -> bool {
        match self {
            Self::ApplyStarted { apply, undoes, redoes, .. } => {
                *apply == id || [*undoes, *redoes].contains(&Some(id))
            }
            Self::ApplyUndone { apply, by } => [*apply, *by].contains(&id),
            Self::PatchApplied { apply, .. }
            | Self::ApplyCommitted { apply }
            | Self::ApplyRolledBack { apply, .. }
            | Self::ApplyInDoubt { apply, .. } => *apply == id,
            Self::Recovered { apply, .. } => *apply == Some(id),
            _ => false,
        }
    }
}

/// A client's word that a person approved. Whether one did, only the client knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientApproval {
    /// What the client calls itself.
    pub client: String,
    /// The version that it says it has.
    pub version: String,
}

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// The schema's version.
    pub schema: u32,
    /// Its place: 1, 2, 3, without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// The JSON Schema (2020-12) of one [`EventRecord`], as `log --json` and
/// `watch --json` print it.
///
/// A later version may add events and fields; what is there keeps its meaning while
/// `schema` stays the same.
pub fn event_schema() -> serde_json::Value {
    schemars::schema_for!(EventRecord).to_value()
}

/// An event as it is handed to whoever observes the layer in this process.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The event.
    pub record: Arc<EventRecord>,
    /// The diff of a proposed patch, unless it is long.
    pub diff: Option<Arc<[u8]>>,
}

/// What checking the log's hash chain came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogCheck {
    /// How many events were checked and found in order.
    pub events: u64,
    /// The last good event's hash, 64 hex digits.
    pub head: String,
    /// The first event that is not what was written, or is gone.
    pub broken_at: Option<u64>,
}

impl LogCheck {
    /// Whether the whole log is what was written.
    pub fn is_intact(&self) -> bool {
        self.broken_at.is_none()
    }
}
