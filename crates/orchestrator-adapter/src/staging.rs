//! The facade that an orchestrator embeds.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::prelude::{Addr, Handler, MailboxError, Message, Recipient, System};
use futures_core::Stream;
use staging_core::{
    ApplyId, ApplyReport, ApplyRequest, ApplyStatus, Approval, DiffOptions, DiffStagingLayer,
    DiskOwner, NewComment, Patch, Proposed, RecoverReport, RedoReport, RedoRequest, RelPath,
    RequestId, Selector, Session, StagingError, StagingOptions, Status, UndoReport, UndoRequest,
    WatchHealth,
};
use tokio::sync::{mpsc, oneshot};

use crate::actors::{OpenSession, OpenedSession, Registry, SessionActor};
use crate::error::ActorError;
use crate::messages::{
    AskApply, AskStatus, AskWatchHealth, DiscardPatch, EventDelivery, ListSessions, OpenEvents,
    PerformApply, Recover, RedoApply, RefreshPatches, SafeWrite, ShowDiff, ShownDiff, Shutdown,
    Subscribe, UndoApply,
};

/// One workspace under Greenroom, with its actors running. Cloning is cheap and gives another
/// handle on the same actors.
#[derive(Clone)]
pub struct Staging {
    layer: DiffStagingLayer,
    registry: Addr<Registry>,
    /// The system on a thread of its own, for those who have none.
    _host: Option<Arc<Host>>,
}

/// An actix system that ends with its last handle.
struct Host(System);

impl Drop for Host {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Staging {
    /// Opens the workspace and starts the actors on the actix system of the current thread.
    ///
    /// A set that an earlier process left half applied is decided first.
    ///
    /// # Errors
    /// When the workspace or the state directory cannot be used.
    pub async fn open(options: StagingOptions) -> Result<Self, ActorError> {
        let opened = tokio::task::spawn_blocking(move || DiskOwner::open(options)).await;
        let owner = opened.map_err(|_| ActorError::Panicked)??;
        let layer = owner.layer();
        let registry = Registry::launch(owner).await?;
        Ok(Self { layer, registry, _host: None })
    }

    /// Opens the workspace and starts the actors on a thread of their own, so that a program needs no
    /// actix system. The thread ends after [`shutdown`](Self::shutdown), or when the last handle is
    /// dropped.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn spawn(options: StagingOptions) -> Result<Self, ActorError> {
        let (answer, answered) = oneshot::channel();
        let host = move || {
            let runner = System::new();
            let opened = runner.block_on(Self::open(options));
            let host = Arc::new(Host(System::current()));
            let opened = opened.map(|staging| Self { _host: Some(host), ..staging });
            let is_open = opened.is_ok();
            // Whoever has stopped waiting has dropped the only handle, and the system stops.
            let is_awaited = answer.send(opened).is_ok();
            if is_open
                && is_awaited
                && let Err(error) = runner.run()
            {
                tracing::warn!(%error, "the actors' system failed");
            }
        };
        let thread = std::thread::Builder::new().name("greenroom".to_owned()).spawn(host);
        let failed = |source| StagingError::Io {
            action: "start a thread for",
            path: "the actors".into(),
            source,
        };
        thread.map_err(failed)?;
        answered.await.unwrap_or(Err(ActorError::Panicked))
    }

    /// Opens the session of this label, or finds it open.
    ///
    /// # Errors
    /// When the label cannot be one, or the store fails.
    pub async fn open_session(&self, label: &str) -> Result<OpenedSession, ActorError> {
        self.ask(OpenSession { label: label.to_owned() }).await
    }

    /// Every session, ended ones too.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sessions(&self) -> Result<Vec<Session>, ActorError> {
        self.ask(ListSessions).await
    }

    /// Sends every event from now on to `recipient`.
    ///
    /// # Errors
    /// When the actors have stopped.
    pub async fn subscribe(&self, recipient: Recipient<EventDelivery>) -> Result<(), ActorError> {
        self.ask(Subscribe { recipient }).await
    }

    /// Every event from now on, as a stream.
    ///
    /// # Errors
    /// When the actors have stopped.
    pub async fn events(&self) -> Result<Events, ActorError> {
        self.ask(OpenEvents).await.map(Events)
    }

    /// Everything that is pending, by session, with its signature.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn status(&self) -> Result<Status, ActorError> {
        self.ask(AskStatus).await
    }

    /// The diff of the pending patches of a selection, with the signature that approves it; without
    /// ids of everything pending.
    ///
    /// # Errors
    /// When a patch was decided meanwhile, or a content is damaged.
    pub async fn diff(
        &self,
        ids: Vec<Selector>,
        options: DiffOptions,
    ) -> Result<ShownDiff, ActorError> {
        self.ask(ShowDiff { ids, options }).await
    }

    /// Applies an approved set, whole or not at all.
    ///
    /// # Errors
    /// As [`DiskOwner::apply`].
    pub async fn apply(&self, request: ApplyRequest) -> Result<ApplyReport, ActorError> {
        self.ask(PerformApply { request }).await
    }

    /// Undoes an applied set, by default the newest one.
    ///
    /// # Errors
    /// As [`DiskOwner::undo`].
    pub async fn undo(
        &self,
        apply: Option<ApplyId>,
        approval: Approval,
    ) -> Result<UndoReport, ActorError> {
        self.undo_part(UndoRequest { apply, approval, ..UndoRequest::default() }).await
    }

    /// Undoes a part of an applied set.
    ///
    /// # Errors
    /// As [`DiskOwner::undo_part`].
    pub async fn undo_part(&self, request: UndoRequest) -> Result<UndoReport, ActorError> {
        self.ask(UndoApply { request }).await
    }

    /// Applies an undone set again.
    ///
    /// # Errors
    /// As [`DiskOwner::redo`].
    pub async fn redo(&self, request: RedoRequest) -> Result<RedoReport, ActorError> {
        self.ask(RedoApply { request }).await
    }

    /// Finishes or rolls back the applies of dead processes.
    ///
    /// # Errors
    /// As [`DiskOwner::recover`].
    pub async fn recover(&self) -> Result<RecoverReport, ActorError> {
        self.ask(Recover).await
    }

    /// Proposes stale, expired or rejected patches again, merged with the current files; without ids
    /// everything stale or expired.
    ///
    /// # Errors
    /// As [`DiffStagingLayer::refresh_all`].
    pub async fn refresh(&self, ids: Vec<Selector>) -> Result<Vec<Proposed>, ActorError> {
        self.ask(RefreshPatches { ids }).await
    }

    /// Rejects patches; without ids everything pending.
    ///
    /// # Errors
    /// As [`DiffStagingLayer::discard`].
    pub async fn discard(
        &self,
        ids: Vec<Selector>,
        reason_text: Option<String>,
    ) -> Result<Vec<Patch>, ActorError> {
        self.discard_commented(ids, reason_text, Vec::new()).await
    }

    /// The same, with comments for single lines of what the patches stage.
    ///
    /// # Errors
    /// As [`DiffStagingLayer::discard_commented`].
    pub async fn discard_commented(
        &self,
        ids: Vec<Selector>,
        reason_text: Option<String>,
        comments: Vec<NewComment>,
    ) -> Result<Vec<Patch>, ActorError> {
        self.ask(DiscardPatch { ids, reason_text, comments }).await
    }

    async fn ask<M, T>(&self, message: M) -> Result<T, ActorError>
    where
        M: Message<Result = Result<T, ActorError>> + Send + 'static,
        T: Send + 'static,
        Registry: Handler<M>,
    {
        answered(self.registry.send(message).await)
    }

    /// The status of the apply with this name, as after a timeout or a restart; `None` while no apply
    /// of that name has begun.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn apply_status(
        &self,
        request: RequestId,
    ) -> Result<Option<ApplyStatus>, ActorError> {
        self.ask(AskApply { request }).await
    }

    /// Whether the files of pending patches are watched or polled; `None` without `watch_files`.
    pub async fn watch_health(&self) -> Option<WatchHealth> {
        self.registry.send(AskWatchHealth).await.ok().flatten()
    }

    /// The registry, for programs that send messages.
    pub fn registry(&self) -> &Addr<Registry> {
        &self.registry
    }

    /// The blocking layer below the actors, for reading. It cannot change the workspace: that is a
    /// message to the actor that owns the disk.
    pub fn layer(&self) -> &DiffStagingLayer {
        &self.layer
    }

    /// Stops the actors after their queued messages.
    ///
    /// # Errors
    /// When they had stopped already, or the last tidying failed.
    pub async fn shutdown(self) -> Result<(), ActorError> {
        self.ask(Shutdown).await
    }
}

/// Proposes that the file at `path`, relative to the workspace, holds `content`.
///
/// # Errors
/// When the path is no path below the workspace, or is protected.
pub async fn safe_write(
    session: &Addr<SessionActor>,
    path: impl AsRef<Path>,
    content: impl Into<Vec<u8>>,
) -> Result<Proposed, ActorError> {
    let path = RelPath::from_path(path.as_ref()).map_err(StagingError::Path)?;
    let sent = session.send(SafeWrite { path, content: content.into(), mode: None }).await;
    sent.unwrap_or(Err(ActorError::Stopped { actor: "session" }))
}

fn answered<T>(sent: Result<Result<T, ActorError>, MailboxError>) -> Result<T, ActorError> {
    sent.unwrap_or(Err(ActorError::Stopped { actor: "registry" }))
}

/// The events of a workspace, in the order of its log. It ends when the actors stop.
///
/// A slow reader misses events: [`EventDelivery::missed`] counts them, and they are in the log.
pub struct Events(mpsc::Receiver<EventDelivery>);

impl Events {
    /// The next event; `None` once the actors have stopped.
    pub async fn next(&mut self) -> Option<EventDelivery> {
        self.0.recv().await
    }
}

impl Stream for Events {
    type Item = EventDelivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
