//! The published schema of the log's events.

use std::sync::Arc;

use atomic_fs::RelPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::Approval;
use crate::comment::LineComment;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiffSummary, DiscardReason, Operation};
use crate::signature::Signature;
use crate::time::Timestamp;

/// The version of the schema; it is raised when a field changes its meaning.
pub const EVENT_SCHEMA: u32 = 1;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A session was opened.
    SessionOpened {
        /// The session.
        session: SessionId,
        /// Its label.
        label: String,
    },
    /// An agent proposed a change, or the reviewer edited one: a new patch, or a new revision of one that
    /// is pending, which keeps its id.
    PatchProposed {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The target of a rename.
        #[schemars(with = "Option<String>")]
        rename_to: Option<RelPath>,
        /// Create, modify, delete, rename or change of the mode.
        operation: Operation,
        /// The patch's revision.
        revision: u32,
        /// The signature that an approval of this patch alone names.
        signature: Signature,
        /// The diff's figures, remarks and risks.
        diff: DiffSummary,
        /// Whether the content is the reviewer's, who edited what the agent had proposed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
        /// The id under which the revision before is kept; absent for the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<PatchId>,
    },
    /// An agent withdrew its patch. Versions before 0.2 recorded a patch as well that was replaced by
    /// another one on its file.
    PatchSuperseded {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The patch that took its place, as that of the path to which its file moved; `None` when
        /// there is none.
        by: Option<PatchId>,
    },
    /// A patch was applied.
    PatchApplied {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The apply that it is a part of.
        apply: ApplyId,
    },
    /// A patch was rejected, or its session ended.
    PatchDiscarded {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// Why it was discarded.
        reason: DiscardReason,
        /// The reviewer's reason, for the agent.
        text: Option<String>,
        /// The reviewer's comments for single lines, for the agent; absent when there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        comments: Vec<LineComment>,
    },
    /// The file changed since the agent read it; the patch is discarded.
    PatchStale {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
    },
    /// A stale or expired patch was proposed again from the present file.
    PatchRefreshed {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The patch that replaces it; `None` when the file has the change already.
        by: Option<PatchId>,
    },
    /// A stale or expired patch was dismissed: its session no longer lists it.
    PatchDismissed {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
        /// The reviewer's reason, for the agent.
        text: Option<String>,
        /// The reviewer's comments for single lines, for the agent; absent when there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        comments: Vec<LineComment>,
    },
    /// A patch's apply was undone; the patch is pending again.
    PatchReopened {
        /// The patch.
        patch: PatchId,
        /// Its session.
        session: SessionId,
        /// Its file.
        #[schemars(with = "String")]
        path: RelPath,
    },
    /// An apply, an undo or a redo of an approved set began.
    ApplyStarted {
        /// The apply.
        apply: ApplyId,
        /// Its patches.
        patches: Vec<PatchId>,
        /// The signature that was approved.
        signature: Signature,
        /// The client that reported the approval; absent when the reviewer approved in
        /// Greenroom itself.
        #[serde(rename = "attested_by", default, skip_serializing_if = "Option::is_none")]
        client_approved: Option<ClientApproval>,
        /// How the approval was given; absent in entries of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<Approval>,
        /// The apply that is undone, wholly or in part, when this is an undo.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undoes: Option<ApplyId>,
        /// The undone apply that is repeated, wholly or in part, when this is a redo.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redoes: Option<ApplyId>,
        /// The reviewer's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// An approved set is on disk, durably.
    ApplyCommitted {
        /// The apply.
        apply: ApplyId,
    },
    /// An apply failed and was rolled back: the workspace is unchanged.
    ApplyRolledBack {
        /// The apply.
        apply: ApplyId,
        /// The failure.
        reason: String,
    },
    /// A sync failed after the swaps, or changed files kept recovery from deciding; the next
    /// recovery tries again.
    ApplyInDoubt {
        /// The apply.
        apply: ApplyId,
        /// The failure.
        reason: String,
    },
    /// An applied set was undone, wholly or in part: the undone files are as they were before it.
    ApplyUndone {
        /// The apply that was undone.
        apply: ApplyId,
        /// The apply that undid it, which names the patches.
        by: ApplyId,
        /// How many of its patches are still applied; absent when none is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remaining: Option<u64>,
    },
    /// The process that served a session is dead; the session stays open until it
    /// expires.
    SessionOrphaned {
        /// The session.
        session: SessionId,
        /// The id of the dead process.
        pid: u32,
    },
    /// Another process serves an orphaned session now.
    SessionAdopted {
        /// The session.
        session: SessionId,
        /// The id of the process that serves it now.
        pid: u32,
    },
    /// A session was closed.
    SessionClosed {
        /// The session.
        session: SessionId,
    },
    /// A session expired: its agent was inactive for too long.
    SessionExpired {
        /// The session.
        session: SessionId,
    },
    /// Recovery finished or rolled back an interrupted apply.
    Recovered {
        /// The apply; `None` when the store has no record of it.
        apply: Option<ApplyId>,
        /// The change set's id in the journal.
        set: String,
        /// Whether its changes are on disk; if not, it was rolled back.
        committed: bool,
    },
}

impl Event {
    /// The session that the event names, if any.
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

    /// Whether the event names a patch, as its subject or as the patch that replaces it.
    pub fn names_patch(&self, id: PatchId) -> bool {
        match self {
            Self::PatchSuperseded { patch, by, .. } | Self::PatchRefreshed { patch, by, .. } => {
                *patch == id || *by == Some(id)
            }
            Self::PatchProposed { patch, replaces, .. } => *patch == id || *replaces == Some(id),
            Self::PatchApplied { patch, .. }
            | Self::PatchDiscarded { patch, .. }
            | Self::PatchStale { patch, .. }
            | Self::PatchDismissed { patch, .. }
            | Self::PatchReopened { patch, .. } => *patch == id,
            Self::ApplyStarted { patches, .. } => patches.contains(&id),
            _ => false,
        }
    }

    /// Whether the event names an apply, as its subject or as one that is undone or repeated.
    pub fn names_apply(&self, id: ApplyId) -> bool {
        match self {
            Self::ApplyStarted { apply, undoes, redoes, .. } => {
                *apply == id || [*undoes, *redoes].contains(&Some(id))
            }
            Self::ApplyUndone { apply, by, .. } => [*apply, *by].contains(&id),
            Self::PatchApplied { apply, .. }
            | Self::ApplyCommitted { apply }
            | Self::ApplyRolledBack { apply, .. }
            | Self::ApplyInDoubt { apply, .. } => *apply == id,
            Self::Recovered { apply, .. } => *apply == Some(id),
            _ => false,
        }
    }
}

/// A client that reported a person's approval. Greenroom cannot check that report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientApproval {
    /// The client's name, as the client gave it.
    pub client: String,
    /// The client's version, as the client gave it.
    pub version: String,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// The schema's version.
    pub schema: u32,
    /// The number of the entry: 1, 2, 3, without gaps.
    pub seq: u64,
    /// When the event happened.
    pub at: Timestamp,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// The JSON Schema (2020-12) of one [`EventRecord`], as `log --json` and
/// `watch --json` print it.
///
/// A later version may add events and fields; existing ones keep their meaning while `schema`
/// stays the same.
pub fn event_schema() -> serde_json::Value {
    schemars::schema_for!(EventRecord).to_value()
}

/// An event as observers in this process receive it.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The entry of the log.
    pub record: Arc<EventRecord>,
    /// The diff of a proposed patch; `None` when it is longer than 256 KiB, or for other events.
    pub diff: Option<Arc<[u8]>>,
}

/// The result of checking the log's hash chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogCheck {
    /// How many events are as written, from the first on.
    pub events: u64,
    /// The hash of the last of them, 64 hex digits.
    pub head: String,
    /// The number of the first event that was changed or removed.
    pub broken_at: Option<u64>,
}

impl LogCheck {
    /// Whether the whole log is as written.
    pub fn is_intact(&self) -> bool {
        self.broken_at.is_none()
    }
}
