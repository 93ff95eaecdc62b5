//! What is proposed and rejected.

use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{FittedFile, PatchId, SessionId};

use super::patches::PatchView;

/// What `propose` staged.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ProposedView<'a> {
    /// None when nothing was stale.
    pub(crate) session: Option<SessionId>,
    pub(crate) patches: Vec<PatchView<'a>>,
    /// Other sessions that want to change the same file; left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) also_pending_in: Vec<SessionId>,
    /// Patches that were withdrawn, or whose place these took; left out when there are none. A patch that
    /// is rewritten keeps its id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) superseded: Vec<PatchId>,
    /// How a patch over many files fitted them, in its order; left out of other proposals.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) fitted: &'a [FittedFile],
}

/// What `propose` staged of a copy of the workspace.
#[cfg(target_os = "linux")]
#[derive(Serialize)]
pub(crate) struct CopiedView<'a> {
    pub(crate) session: SessionId,
    pub(crate) patches: Vec<PatchView<'a>>,
    pub(crate) not_proposed: Vec<NotProposedView>,
}

/// A path that no patch changes, and why.
#[cfg(target_os = "linux")]
#[derive(Serialize)]
pub(crate) struct NotProposedView {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// What `discard` rejected.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DiscardedView<'a> {
    pub(crate) patches: Vec<PatchView<'a>>,
}
