//! The session actor, one for each staging session. It answers its agent's messages in order: its
//! mailbox pauses while a message is worked on.

use actix::prelude::*;
use staging_core::{
    ApplyReport, ApplyRequest, Approval, ApprovalMeans, ClientApproval, ClosedSession, DiffOptions,
    DiffStagingLayer, Patch, PatchProposed, Proposal, Proposed, RedoReport, Selection, Selector,
    SessionId, StageRequest, UndoReport,
};

use super::fs::{FsActor, ask};
use super::pool::Pool;
use super::{Plain, paused};
use crate::error::ActorError;
use crate::messages::{
    ApplyChangeSet, ApplyPatch, CloseSession, DiscardPatch, PerformApply, ProposePatch,
    ReadThrough, RedoApply, RefreshPatches, SafeDelete, SafeEdit, SafeRename, SafeSetMode,
    SafeWrite, ShowDiff, ShownDiff, StageAll, Stop, UndoApply,
};

/// Serves one session.
pub struct SessionActor {
    session: SessionId,
    pool: Pool,
    fs: Addr<FsActor>,
    capacity: usize,
}

/// An answer, until which the actor's mailbox pauses.
type Answer<T> = AtomicResponse<SessionActor, Result<T, ActorError>>;

/// Answers with what a future gives.
fn answer<T: 'static>(work: impl Future<Output = Result<T, ActorError>> + 'static) -> Answer<T> {
    AtomicResponse::new(Box::pin(fut::wrap_future(work)))
}

impl SessionActor {
    pub(super) fn launch(
        session: SessionId,
        pool: Pool,
        fs: Addr<FsActor>,
        capacity: usize,
    ) -> Addr<Self> {
        Self { session, pool, fs, capacity }.start()
    }

    fn run<T: Send + 'static>(
        &self,
        span: tracing::Span,
        work: impl FnOnce(&DiffStagingLayer) -> staging_core::Result<T> + Send + 'static,
    ) -> Answer<T> {
        answer(self.pool.clone().run(span, work))
    }

    fn propose(&self, operation: &'static str, proposal: Proposal) -> Answer<Proposed> {
        let session = self.session;
        let span = tracing::info_span!("propose", %session, operation, path = %proposal.path());
        let request = StageRequest { session, proposals: vec![proposal], span };
        let staged = self.pool.clone().stage(request);
        answer(async { Ok(staged.await?.pop().expect("one proposal gives one answer")) })
    }

    /// The selection: this session, unless something but exceptions is named.
    fn or_all(&self, mut ids: Vec<Selector>) -> Vec<Selector> {
        if Selector::are_everything(&ids) {
            ids.push(Selector::Session(self.session));
        }
        ids
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.capacity.max(1));
    }
}

handlers! { SessionActor: Answer;
    SafeWrite { path, content, mode } -> Proposed, |actor, _| {
        actor.propose("write", Proposal::Write { path, content, mode })
    };
    SafeEdit { path, old, new, replace_all } -> Proposed, |actor, _| {
        actor.propose("edit", Proposal::Edit { path, old, new, replace_all })
    };
    SafeDelete { path } -> Proposed, |actor, _| {
        actor.propose("delete", Proposal::Delete { path })
    };
    SafeRename { path, to } -> Proposed, |actor, _| {
        actor.propose("rename", Proposal::Rename { path, to })
    };
    SafeSetMode { path, mode } -> Proposed, |actor, _| {
        actor.propose("mode", Proposal::SetMode { path, mode })
    };
    StageAll { proposals } -> Vec<Proposed>, |actor, _| {
        let session = actor.session;
        let span = tracing::info_span!("propose_all", %session, changes = proposals.len());
        answer(actor.pool.clone().stage(StageRequest { session, proposals, span }))
    };
    ProposePatch { request } -> PatchProposed, |actor, _| {
        let session = actor.session;
        let span = tracing::info_span!("propose_patch", %session, bytes = request.text.len());
        actor.run(span, move |layer| layer.propose_patch(session, &request))
    };
    ReadThrough { path } -> Option<Vec<u8>>, |actor, _| {
        let session = actor.session;
        let span = tracing::info_span!("read_through", %session, %path);
        actor.run(span, move |layer| layer.read_through(session, &path))
    };
    ShowDiff { ids, options } -> ShownDiff, |actor, _| {
        let ids = actor.or_all(ids);
        let span = tracing::info_span!("show_diff", session = %actor.session);
        actor.run(span, move |layer| show(layer, &ids, &options))
    };
    ApplyPatch { patch, expect, confirm_full_replace, request } -> ApplyReport, |actor, _| {
        let (ids, default) = (vec![Selector::Patch(patch)], ApplyRequest::default());
        let request = ApplyRequest { ids, expect, confirm_full_replace, request, ..default };
        answer(ask(&actor.fs, PerformApply { request }))
    };
    ApplyChangeSet {
        ids, expect, confirm_full_replace, rest, request, message, client_approved
    } -> ApplyReport, |actor, _| {
        let ids = actor.or_all(ids);
        let approval = client_approved.as_ref().map(approval_of).unwrap_or_default();
        let request = ApplyRequest {
            ids, expect, confirm_full_replace, rest, request, approval, message, client_approved,
            ..ApplyRequest::default()
        };
        answer(ask(&actor.fs, PerformApply { request }))
    };
    UndoApply { request } -> UndoReport, |actor, _| answer(ask(&actor.fs, UndoApply { request }));
    RedoApply { request } -> RedoReport, |actor, _| answer(ask(&actor.fs, RedoApply { request }));
    RefreshPatches { ids } -> Vec<Proposed>, |actor, _| {
        let ids = actor.or_all(ids);
        let span = tracing::info_span!("refresh", session = %actor.session);
        actor.run(span, move |layer| layer.refresh_all(&ids))
    };
    DiscardPatch { ids, reason_text, comments } -> Vec<Patch>, |actor, _| {
        let ids = actor.or_all(ids);
        let span = tracing::info_span!("discard", session = %actor.session);
        let discard = move |layer: &DiffStagingLayer| {
            layer.discard_commented(&ids, reason_text.as_deref(), &comments)
        };
        actor.run(span, discard)
    };
    CloseSession { expect, reason_text } -> ClosedSession, |actor, _| {
        let session = actor.session;
        let span = tracing::info_span!("close_session", %session);
        let close = move |layer: &DiffStagingLayer| {
            layer.close_reviewed(session, expect, reason_text.as_deref())
        };
        let closed = actor.pool.clone().run(span, close);
        paused(closed, |closed, _: &mut Self, context: &mut Context<Self>| {
            if closed.is_ok() {
                context.stop();
            }
            closed
        })
    };
}

/// The approval by a client for its user.
fn approval_of(ClientApproval { client, version }: &ClientApproval) -> Approval {
    let agent = Some(format!("{client} {version}"));
    Approval { agent, ..Approval::by(ApprovalMeans::Client) }
}

/// What is pending of a selection, as one diff.
pub(super) fn show(
    layer: &DiffStagingLayer,
    ids: &[Selector],
    options: &DiffOptions,
) -> staging_core::Result<ShownDiff> {
    let Selection { patches, signature, stale, lapsed } = layer.select(ids)?;
    let mut text = Vec::new();
    layer.write_diff(&patches, options, &mut text)?;
    Ok(ShownDiff { patches, text, signature, stale, lapsed })
}

handlers! { SessionActor: Plain; Stop -> (), |_actor, context| context.stop(); }
