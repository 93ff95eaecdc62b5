//! The session actor: one per staging session. It answers in the order in which its agent asked: its
//! mailbox pauses while a message is worked on.

use actix::prelude::*;
use staging_core::{
    ApplyReport, ApplyRequest, Approval, ApprovalMeans, ClientAttestation, DiffOptions,
    DiffStagingLayer, Patch, PatchId, PatchProposed, PatchRequest, Proposal, Proposed, RedoReport,
    RelPath, RequestId, Selection, Selector, Session, SessionId, Signature, StageRequest,
    UndoReport,
};

use super::error::ActorError;
use super::fs::{FsActor, PerformApply, RedoApply, UndoApply, ask};
use super::pool::Pool;

/// Proposes new content, whole.
#[derive(Clone, Debug)]
pub struct SafeWrite {
    /// The file.
    pub path: RelPath,
    /// What it is to hold.
    pub content: Vec<u8>,
    /// Its permission bits; those of the file there, when not given.
    pub mode: Option<u32>,
}

impl Message for SafeWrite {
    type Result = Result<Proposed, ActorError>;
}

/// Proposes one piece of text replaced by another.
#[derive(Clone, Debug)]
pub struct SafeEdit {
    /// The file.
    pub path: RelPath,
    /// What to replace; must occur exactly once unless all are replaced.
    pub old: Vec<u8>,
    /// What to put in its place.
    pub new: Vec<u8>,
    /// Whether every occurrence is replaced.
    pub replace_all: bool,
}

impl Message for SafeEdit {
    type Result = Result<Proposed, ActorError>;
}

/// Proposes that the file goes.
#[derive(Clone, Debug)]
pub struct SafeDelete {
    /// The file.
    pub path: RelPath,
}

impl Message for SafeDelete {
    type Result = Result<Proposed, ActorError>;
}

/// Proposes that the file moves.
#[derive(Clone, Debug)]
pub struct SafeRename {
    /// The file.
    pub path: RelPath,
    /// Where to.
    pub to: RelPath,
}

impl Message for SafeRename {
    type Result = Result<Proposed, ActorError>;
}

/// Proposes other permission bits.
#[derive(Clone, Debug)]
pub struct SafeSetMode {
    /// The file.
    pub path: RelPath,
    /// The bits.
    pub mode: u32,
}

impl Message for SafeSetMode {
    type Result = Result<Proposed, ActorError>;
}

/// Reads a file as this session sees it; `None` when there is none.
#[derive(Clone, Debug)]
pub struct ReadThrough {
    /// The file.
    pub path: RelPath,
}

impl Message for ReadThrough {
    type Result = Result<Option<Vec<u8>>, ActorError>;
}

/// Shows what is pending as one diff.
#[derive(Clone, Debug, Default)]
pub struct ShowDiff {
    /// Which patches; when empty everything pending in the session that is asked, or, by the
    /// registry, in all of them.
    pub ids: Vec<Selector>,
    /// How to write it.
    pub options: DiffOptions,
}

impl Message for ShowDiff {
    type Result = Result<ShownDiff, ActorError>;
}

/// A diff, and what approving it names.
#[derive(Clone, Debug)]
pub struct ShownDiff {
    /// The patches shown.
    pub patches: Vec<Patch>,
    /// Git-style text.
    pub text: Vec<u8>,
    /// What an approval of exactly this names.
    pub signature: Signature,
    /// Patches that turned out stale and are discarded now.
    pub stale: Vec<Patch>,
    /// What the session lacks: stale and expired patches that nobody has refreshed or dismissed.
    /// Applying what is left of it has to be asked for.
    pub lapsed: Vec<Patch>,
}

/// Applies one patch.
#[derive(Clone, Debug)]
pub struct ApplyPatch {
    /// Which.
    pub patch: PatchId,
    /// The signature that was approved: the patch's own.
    pub expect: Option<Signature>,
    /// Whether the file may be replaced as a whole.
    pub confirm_full_replace: bool,
    /// A name for asking how it ended, with `AskApply`; sent again with the same name
    /// it is applied no second time.
    pub request: Option<RequestId>,
}

impl Message for ApplyPatch {
    type Result = Result<ApplyReport, ActorError>;
}

/// Applies patches together: all or none.
#[derive(Clone, Debug, Default)]
pub struct ApplyChangeSet {
    /// Which; everything pending in this session when empty.
    pub ids: Vec<Selector>,
    /// The set signature that was approved.
    pub expect: Option<Signature>,
    /// Whether files may be replaced as a whole.
    pub confirm_full_replace: bool,
    /// Whether to apply what is left of a set that lost patches to staleness or expiry.
    pub rest: bool,
    /// A name for asking how it ended, with `AskApply`; sent again with the same name
    /// it is applied no second time.
    pub request: Option<RequestId>,
    /// The client by whose word it is approved, when no reviewer said so to Greenroom itself.
    pub attested_by: Option<ClientAttestation>,
}

impl Message for ApplyChangeSet {
    type Result = Result<ApplyReport, ActorError>;
}

/// Proposes stale, expired or rejected patches anew, merged with what their files have become.
#[derive(Clone, Debug, Default)]
pub struct RefreshPatches {
    /// Which; when empty everything stale or expired in the session that is asked, or, by the
    /// registry, in all of them.
    pub ids: Vec<Selector>,
}

impl Message for RefreshPatches {
    type Result = Result<Vec<Proposed>, ActorError>;
}

/// Rejects patches, and dismisses stale and expired ones.
#[derive(Clone, Debug, Default)]
pub struct DiscardPatch {
    /// Which; when empty everything pending in the session that is asked, or, by the registry, in
    /// all of them.
    pub ids: Vec<Selector>,
    /// Why, for the agent.
    pub reason_text: Option<String>,
}

impl Message for DiscardPatch {
    type Result = Result<Vec<Patch>, ActorError>;
}

/// Ends the session; what is pending in it is rejected.
#[derive(Clone, Copy, Debug)]
pub struct CloseSession;

impl Message for CloseSession {
    type Result = Result<Session, ActorError>;
}

/// Proposes several changes, each seeing those before it: all or none.
#[derive(Clone, Debug)]
pub struct StageAll {
    /// The changes, in order.
    pub proposals: Vec<Proposal>,
}

impl Message for StageAll {
    type Result = Result<Vec<Proposed>, ActorError>;
}

/// Proposes every change of a patch over many files: all or none.
#[derive(Clone, Debug)]
pub struct ProposePatch {
    /// The patch, where it belongs, and what it was made from.
    pub request: PatchRequest,
}

impl Message for ProposePatch {
    type Result = Result<PatchProposed, ActorError>;
}

/// Stops once everything before it is answered; the session stays open.
pub(super) struct Stop;

impl Message for Stop {
    type Result = ();
}

/// An answer, until which the actor's mailbox pauses.
pub(super) type Answer<A, T> = AtomicResponse<A, Result<T, ActorError>>;

/// Answers with what a future gives.
pub(super) fn answer<A: Actor<Context = Context<A>>, T: 'static>(
    work: impl Future<Output = Result<T, ActorError>> + 'static,
) -> Answer<A, T> {
    AtomicResponse::new(Box::pin(fut::wrap_future(work)))
}

/// Serves one session.
pub struct SessionActor {
    session: SessionId,
    pool: Pool,
    fs: Addr<FsActor>,
    capacity: usize,
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
    ) -> Answer<Self, T> {
        answer(self.pool.clone().run(span, work))
    }

    fn propose(&self, name: &'static str, proposal: Proposal) -> Answer<Self, Proposed> {
        let session = self.session;
        let span =
            tracing::info_span!("propose", %session, operation = name, path = %proposal.path());
        let request = StageRequest { session, proposals: vec![proposal], span };
        let staged = self.pool.clone().stage(request);
        answer(async { Ok(staged.await?.pop().expect("one proposal gives one answer")) })
    }

    /// What is meant by ids: this session when there are none.
    fn or_all(&self, ids: Vec<Selector>) -> Vec<Selector> {
        if ids.is_empty() { vec![Selector::Session(self.session)] } else { ids }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.capacity.max(1));
    }
}

impl Handler<SafeWrite> for SessionActor {
    type Result = Answer<Self, Proposed>;

    fn handle(&mut self, message: SafeWrite, _: &mut Self::Context) -> Self::Result {
        let SafeWrite { path, content, mode } = message;
        self.propose("write", Proposal::Write { path, content, mode })
    }
}

impl Handler<SafeEdit> for SessionActor {
    type Result = Answer<Self, Proposed>;

    fn handle(&mut self, message: SafeEdit, _: &mut Self::Context) -> Self::Result {
        let SafeEdit { path, old, new, replace_all } = message;
        self.propose("edit", Proposal::Edit { path, old, new, replace_all })
    }
}

impl Handler<SafeDelete> for SessionActor {
    type Result = Answer<Self, Proposed>;

    fn handle(&mut self, message: SafeDelete, _: &mut Self::Context) -> Self::Result {
        self.propose("delete", Proposal::Delete { path: message.path })
    }
}

impl Handler<SafeRename> for SessionActor {
    type Result = Answer<Self, Proposed>;

    fn handle(&mut self, message: SafeRename, _: &mut Self::Context) -> Self::Result {
        let SafeRename { path, to } = message;
        self.propose("rename", Proposal::Rename { path, to })
    }
}

impl Handler<SafeSetMode> for SessionActor {
    type Result = Answer<Self, Proposed>;

    fn handle(&mut self, message: SafeSetMode, _: &mut Self::Context) -> Self::Result {
        let SafeSetMode { path, mode } = message;
        self.propose("mode", Proposal::SetMode { path, mode })
    }
}

impl Handler<StageAll> for SessionActor {
    type Result = Answer<Self, Vec<Proposed>>;

    fn handle(&mut self, message: StageAll, _: &mut Self::Context) -> Self::Result {
        let (session, proposals) = (self.session, message.proposals);
        let span = tracing::info_span!("propose_all", %session, changes = proposals.len());
        answer(self.pool.clone().stage(StageRequest { session, proposals, span }))
    }
}

impl Handler<ProposePatch> for SessionActor {
    type Result = Answer<Self, PatchProposed>;

    fn handle(&mut self, message: ProposePatch, _: &mut Self::Context) -> Self::Result {
        let (session, request) = (self.session, message.request);
        let span = tracing::info_span!("propose_patch", %session, bytes = request.text.len());
        self.run(span, move |layer| layer.propose_patch(session, &request))
    }
}

impl Handler<ReadThrough> for SessionActor {
    type Result = Answer<Self, Option<Vec<u8>>>;

    fn handle(&mut self, message: ReadThrough, _: &mut Self::Context) -> Self::Result {
        let (session, path) = (self.session, message.path);
        let span = tracing::info_span!("read_through", %session, %path);
        self.run(span, move |layer| layer.read_through(session, &path))
    }
}

impl Handler<ShowDiff> for SessionActor {
    type Result = Answer<Self, ShownDiff>;

    fn handle(&mut self, message: ShowDiff, _: &mut Self::Context) -> Self::Result {
        let span = tracing::info_span!("show_diff", session = %self.session);
        let ids = self.or_all(message.ids);
        self.run(span, move |layer| show(layer, &ids, &message.options))
    }
}

/// What is pending of some patches as one diff.
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

impl Handler<ApplyPatch> for SessionActor {
    type Result = Answer<Self, ApplyReport>;

    fn handle(&mut self, message: ApplyPatch, _: &mut Self::Context) -> Self::Result {
        let ApplyPatch { patch, expect, confirm_full_replace, request } = message;
        let ids = vec![Selector::Patch(patch)];
        let default = ApplyRequest::default();
        let request = ApplyRequest { ids, expect, confirm_full_replace, request, ..default };
        answer(ask(&self.fs, PerformApply { request }))
    }
}

impl Handler<ApplyChangeSet> for SessionActor {
    type Result = Answer<Self, ApplyReport>;

    fn handle(&mut self, message: ApplyChangeSet, _: &mut Self::Context) -> Self::Result {
        let ApplyChangeSet { ids, expect, confirm_full_replace, rest, request, attested_by } =
            message;
        let request = ApplyRequest {
            ids: self.or_all(ids),
            expect,
            confirm_full_replace,
            rest,
            request,
            approval: match &attested_by {
                Some(ClientAttestation { client, version }) => Approval {
                    means: ApprovalMeans::Client,
                    agent: Some(format!("{client} {version}")),
                },
                None => Approval::default(),
            },
            attested_by,
            ..Default::default()
        };
        answer(ask(&self.fs, PerformApply { request }))
    }
}

impl Handler<UndoApply> for SessionActor {
    type Result = Answer<Self, UndoReport>;

    fn handle(&mut self, message: UndoApply, _: &mut Self::Context) -> Self::Result {
        answer(ask(&self.fs, message))
    }
}

impl Handler<RedoApply> for SessionActor {
    type Result = Answer<Self, RedoReport>;

    fn handle(&mut self, message: RedoApply, _: &mut Self::Context) -> Self::Result {
        answer(ask(&self.fs, message))
    }
}

impl Handler<RefreshPatches> for SessionActor {
    type Result = Answer<Self, Vec<Proposed>>;

    fn handle(&mut self, message: RefreshPatches, _: &mut Self::Context) -> Self::Result {
        let ids = self.or_all(message.ids);
        let span = tracing::info_span!("refresh", session = %self.session);
        self.run(span, move |layer| layer.refresh_all(&ids))
    }
}

impl Handler<DiscardPatch> for SessionActor {
    type Result = Answer<Self, Vec<Patch>>;

    fn handle(&mut self, message: DiscardPatch, _: &mut Self::Context) -> Self::Result {
        let ids = self.or_all(message.ids);
        let span = tracing::info_span!("discard", session = %self.session);
        self.run(span, move |layer| layer.discard(&ids, message.reason_text.as_deref()))
    }
}

impl Handler<CloseSession> for SessionActor {
    type Result = Answer<Self, Session>;

    fn handle(&mut self, _: CloseSession, _: &mut Self::Context) -> Self::Result {
        let session = self.session;
        let span = tracing::info_span!("close_session", %session);
        let closed = self.pool.clone().run(span, move |layer| layer.close_session(session));
        AtomicResponse::new(Box::pin(fut::wrap_future::<_, Self>(closed).map(
            |closed, _, context: &mut Context<Self>| {
                if closed.is_ok() {
                    context.stop();
                }
                closed
            },
        )))
    }
}

impl Handler<Stop> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}
