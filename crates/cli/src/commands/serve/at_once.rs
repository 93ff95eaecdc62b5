//! Short proposals, staged and answered by the thread that reads them.
//!
//! The usual way leads over the actors' thread to one that may block, and back. For a short proposal these
//! hand-overs take longer than the work. So the thread that reads does the work itself where no other call
//! is under way and nothing has to be waited for. The order of the answers stays, because no other call
//! waits, and the next line waits no longer than it would in a queue.

use std::panic::{AssertUnwindSafe, catch_unwind};

use orchestrator_adapter::{ActorError, DiffStagingLayer};
use staging_core::{SessionId, StageRequest};

use super::calls::Call;
use super::lanes::OpenSessions;
use super::params::Propose;
use super::protocol::{Id, Refusal, answer, body};
use crate::commands::staged::staged_view;
use crate::failure::Failure;

/// What the thread that reads needs to stage.
pub(super) struct AtOnce {
    layer: DiffStagingLayer,
    sessions: OpenSessions,
}

impl AtOnce {
    pub(super) fn new(layer: DiffStagingLayer, sessions: OpenSessions) -> Self {
        Self { layer, sessions }
    }

    /// The line that answers a call; `None` where it has to take the usual way.
    pub(super) fn answer(&self, id: &Id, call: &Call) -> Option<String> {
        let Call::Propose(params) = call else { return None };
        // A panic is a failure of this call alone.
        let done = catch_unwind(AssertUnwindSafe(|| self.propose(params)));
        Some(match done.unwrap_or_else(|_| Some(Err(ActorError::Panicked.into())))? {
            Ok(body) => answer(id, &body),
            Err(failure) => Refusal::of(id.clone(), failure).to_line(),
        })
    }

    fn propose(&self, params: &Propose) -> Option<Result<String, Failure>> {
        let session = params.session;
        if !self.sessions.has(session) || has_capture(&self.layer, session) {
            return None;
        }
        let span = tracing::info_span!("propose_all", %session, changes = params.proposals.len());
        let proposals = params.clone().into_proposals().ok()?;
        let staged = self.layer.stage_at_once(&StageRequest { session, proposals, span })?;
        let view = |proposed: Vec<_>| body(&staged_view(Some(session), &proposed, &[]));
        Some(staged.map(view).map_err(Failure::from))
    }
}

/// Whether a command of `run` may have written in a session. That is staged first.
#[cfg(target_os = "linux")]
pub(super) fn has_capture(layer: &DiffStagingLayer, session: SessionId) -> bool {
    capture::SessionCapture::of(layer, session).dir().exists()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn has_capture(_: &DiffStagingLayer, _: SessionId) -> bool {
    false
}
