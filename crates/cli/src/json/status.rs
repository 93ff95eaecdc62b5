//! What is pending, and sessions.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{
    Contested, InDoubtApply, Session, SessionId, SessionState, SessionStatus, SetRisk, Signature,
    Status, Timestamp,
};

use super::patches::{PatchView, patches};
use crate::paths::shown;
use crate::trials::{TrialResult, Trials};

#[derive(Serialize, JsonSchema)]
pub(crate) struct StatusView<'a> {
    pub(crate) workspace: String,
    pub(crate) signature: Signature,
    /// The risks of everything pending, by kind; left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) risks: Vec<SetRisk<'a>>,
    /// The results of commands on the sets with these signatures; left out when none was run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) exec: Vec<&'a TrialResult>,
    pub(crate) sessions: Vec<PendingView<'a>>,
    /// What the commands of sessions have written; left out when there is nothing.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) layers: &'a [LayerView],
    /// Files that several sessions want to change; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) contested: &'a [Contested],
    /// Applies that recovery could not decide; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) in_doubt: &'a [InDoubtApply],
    /// Journals of applies that are running or wait for recovery; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) open_journals: &'a [String],
    /// Journals that are not acted on; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) quarantined: &'a [String],
    /// Files with users' bytes that could not stay in place; left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) kept: Vec<String>,
}

/// What the commands of a session have written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LayerView {
    pub(crate) session: SessionId,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Of the copy of the workspace that they see.
    pub(crate) copy_bytes: u64,
}

/// A session with what is pending in it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PendingView<'a> {
    id: SessionId,
    label: &'a str,
    state: SessionState,
    signature: Signature,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// When the process that serves it was found dead; left out while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    orphaned_at: Option<Timestamp>,
    patches: Vec<PatchView<'a>>,
    /// What it lacks, stale or expired; left out when it is whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lapsed: Vec<PatchView<'a>>,
}

impl<'a> StatusView<'a> {
    /// What `status` shows of the workspace at `root`.
    pub(crate) fn new(
        root: &Path,
        status: &'a Status,
        trials: &'a Trials,
        layers: &'a [LayerView],
    ) -> Self {
        let sessions = status.sessions.iter().map(|each| &each.signature);
        let signatures = sessions.chain([&status.signature]);
        Self {
            workspace: shown(root),
            signature: status.signature,
            risks: SetRisk::of(status.sessions.iter().flat_map(|each| &each.patches)),
            exec: signatures.filter_map(|signature| trials.of(signature)).collect(),
            sessions: status.sessions.iter().map(PendingView::from).collect(),
            layers,
            contested: &status.contested,
            in_doubt: &status.in_doubt,
            open_journals: &status.open_journals,
            quarantined: &status.quarantined,
            kept: status.kept.iter().map(shown).collect(),
        }
    }
}

impl<'a> From<&'a SessionStatus> for PendingView<'a> {
    fn from(status: &'a SessionStatus) -> Self {
        let session = &status.session;
        Self {
            id: session.id,
            label: &session.label,
            state: session.state,
            signature: status.signature,
            created_at: session.created_at,
            expires_at: session.expires_at,
            orphaned_at: session.orphaned_at,
            patches: patches(&status.patches),
            lapsed: patches(&status.lapsed),
        }
    }
}

/// What `session close` did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ClosedView<'a> {
    pub(crate) session: &'a Session,
    /// What was pending in it.
    pub(crate) rejected: Vec<PatchView<'a>>,
    /// What was stale or expired in it, and nobody had refreshed or dismissed.
    pub(crate) dismissed: Vec<PatchView<'a>>,
}
