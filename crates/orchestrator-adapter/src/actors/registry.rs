//! The registry: opens, finds, expires and lists sessions.

use std::collections::HashMap;

use actix::prelude::*;
use staging_core::{
    ApplyReport, ApplyStatus, DiffStagingLayer, Patch, Proposed, RecoverReport, RedoReport,
    RequestId, Session, SessionId, SessionState, Status, UndoReport, WatchHealth, Watching,
};
use tokio::sync::mpsc;

use super::events::{EventDelivery, EventsActor, Forwarder};
use super::fs::{FsActor, Stop, ask};
use super::maintenance::MaintenanceActor;
use super::pool::Pool;
use super::session::show;
use super::{
    ActorError, DiscardPatch, PerformApply, Recover, RedoApply, RefreshPatches, SessionActor,
    ShowDiff, ShownDiff, Subscribe, UndoApply,
};

/// Opens the session of this label, or finds it open.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// The session's name.
    pub label: String,
}

impl Message for OpenSession {
    type Result = Result<OpenedSession, ActorError>;
}

/// An open session and the actor that serves it.
#[derive(Clone)]
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// Its actor.
    pub actor: Addr<SessionActor>,
}

/// Lists every session.
#[derive(Clone, Copy, Debug)]
pub struct ListSessions;

impl Message for ListSessions {
    type Result = Result<Vec<Session>, ActorError>;
}

/// Asks how an apply of this name stands, after a timeout or a restart, in any process;
/// `None` while nothing of that name has begun. It is answered while the apply runs.
///
/// What has not begun was refused, is still queued, or never arrived: the same message
/// with the same name may be sent again, and is applied once at most.
#[derive(Clone, Debug)]
pub struct AskApply {
    /// The name that the apply was given.
    pub request: RequestId,
}

impl Message for AskApply {
    type Result = Result<Option<ApplyStatus>, ActorError>;
}

/// Asks how well the files of pending patches are watched; `None` when they are
/// not, because `watch_files` says so.
#[derive(Clone, Copy, Debug)]
pub struct AskWatchHealth;

impl Message for AskWatchHealth {
    type Result = Option<WatchHealth>;
}

/// Opens a channel of every event from now on.
pub(crate) struct OpenEvents;

impl Message for OpenEvents {
    type Result = Result<mpsc::Receiver<EventDelivery>, ActorError>;
}

/// Asks for everything that is pending.
#[derive(Clone, Copy, Debug)]
pub struct AskStatus;

impl Message for AskStatus {
    type Result = Result<Status, ActorError>;
}

/// Stops every actor after what is queued is done, and finishes the tidying;
/// answers when nothing of them is left to do.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown;

impl Message for Shutdown {
    type Result = Result<(), ActorError>;
}

/// Opens, finds, expires and lists sessions; one actor for each open one.
pub struct Registry {
    layer: DiffStagingLayer,
    pool: Pool,
    fs: Addr<FsActor>,
    fs_arbiter: Option<Arbiter>,
    events: Addr<EventsActor>,
    sessions: HashMap<SessionId, Addr<SessionActor>>,
    /// Until the registry stops.
    watching: Option<Watching>,
    maintenance: Addr<MaintenanceActor>,
}

impl Registry {
    /// Starts the registry with its FsActor (on a thread of its own) and its
    /// events actor, on the current arbiter.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn launch(layer: DiffStagingLayer) -> Result<Addr<Self>, ActorError> {
        let pool = Pool::new(layer.clone());
        let leave = tracing::debug_span!("leave_checkpoints_to_maintenance");
        pool.clone().run(leave, DiffStagingLayer::leave_checkpoints_to_maintenance).await?;
        let watching = if layer.options().watch_files {
            let watch =
                pool.clone().run(tracing::debug_span!("watch"), DiffStagingLayer::watch).await?;
            Some(watch)
        } else {
            None
        };
        let (fs, arbiter) = FsActor::launch(layer.clone());
        let events = EventsActor::launch(layer.clone(), pool.clone());
        let maintenance = MaintenanceActor::launch(layer.clone(), pool.clone());
        let (fs_arbiter, sessions) = (Some(arbiter), HashMap::new());
        let registry =
            Self { layer, pool, fs, fs_arbiter, events, sessions, watching, maintenance };
        Ok(registry.start())
    }

    fn actor_of(&mut self, session: &Session) -> Addr<SessionActor> {
        self.sessions.retain(|_, actor| actor.connected());
        self.sessions
            .entry(session.id)
            .or_insert_with(|| {
                let capacity = self.layer.options().mailbox_capacity;
                SessionActor::launch(session.id, self.pool.clone(), self.fs.clone(), capacity)
            })
            .clone()
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.layer.options().mailbox_capacity.max(1));
    }
}

impl Handler<OpenSession> for Registry {
    type Result = AtomicResponse<Self, Result<OpenedSession, ActorError>>;

    fn handle(&mut self, message: OpenSession, _: &mut Self::Context) -> Self::Result {
        let label = message.label;
        let opened = self
            .pool
            .clone()
            .run(tracing::info_span!("open_session"), move |layer| layer.open_session(&label));
        AtomicResponse::new(Box::pin(fut::wrap_future::<_, Self>(opened).map(
            |opened, registry, _| {
                let session = opened?;
                let actor = registry.actor_of(&session);
                Ok(OpenedSession { session, actor })
            },
        )))
    }
}

impl Handler<ListSessions> for Registry {
    type Result = AtomicResponse<Self, Result<Vec<Session>, ActorError>>;

    fn handle(&mut self, _: ListSessions, _: &mut Self::Context) -> Self::Result {
        let listed =
            self.pool.clone().run(tracing::info_span!("list_sessions"), DiffStagingLayer::sessions);
        AtomicResponse::new(Box::pin(fut::wrap_future::<_, Self>(listed).map(
            |listed, registry, _| {
                // An actor whose session has ended serves nobody.
                for session in listed.iter().flatten() {
                    if session.state != SessionState::Open {
                        registry.sessions.remove(&session.id);
                    }
                }
                listed
            },
        )))
    }
}

impl Handler<Subscribe> for Registry {
    type Result = ResponseFuture<Result<(), ActorError>>;

    fn handle(&mut self, message: Subscribe, _: &mut Self::Context) -> Self::Result {
        let subscribed = self.events.send(message);
        Box::pin(async move {
            subscribed.await.map_err(|_| ActorError::Stopped { actor: "events actor" })?
        })
    }
}

impl Handler<OpenEvents> for Registry {
    type Result = ResponseFuture<Result<mpsc::Receiver<EventDelivery>, ActorError>>;

    fn handle(&mut self, _: OpenEvents, _: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = mpsc::channel(1);
        let capacity = self.layer.options().mailbox_capacity.max(1);
        let forwarder = Forwarder::create(|context| {
            context.set_mailbox_capacity(capacity);
            Forwarder(sender)
        });
        let subscribed = self.events.send(Subscribe { recipient: forwarder.recipient() });
        Box::pin(async move {
            subscribed.await.unwrap_or(Err(ActorError::Stopped { actor: "events actor" }))?;
            Ok(receiver)
        })
    }
}

impl Handler<AskApply> for Registry {
    type Result = ResponseFuture<Result<Option<ApplyStatus>, ActorError>>;

    fn handle(&mut self, message: AskApply, _: &mut Self::Context) -> Self::Result {
        let request = message.request;
        let span = tracing::info_span!("ask_apply", %request);
        let asked = self.pool.clone().run(span, move |layer| layer.apply_status(&request));
        Box::pin(asked)
    }
}

impl Handler<AskStatus> for Registry {
    type Result = ResponseFuture<Result<Status, ActorError>>;

    fn handle(&mut self, _: AskStatus, _: &mut Self::Context) -> Self::Result {
        let span = tracing::info_span!("status");
        Box::pin(self.pool.clone().run(span, DiffStagingLayer::status))
    }
}

impl Handler<ShowDiff> for Registry {
    type Result = ResponseFuture<Result<ShownDiff, ActorError>>;

    fn handle(&mut self, message: ShowDiff, _: &mut Self::Context) -> Self::Result {
        let span = tracing::info_span!("show_diff");
        let ShowDiff { ids, options } = message;
        Box::pin(self.pool.clone().run(span, move |layer| show(layer, &ids, &options)))
    }
}

impl Handler<RefreshPatches> for Registry {
    type Result = ResponseFuture<Result<Vec<Proposed>, ActorError>>;

    fn handle(&mut self, message: RefreshPatches, _: &mut Self::Context) -> Self::Result {
        let span = tracing::info_span!("refresh");
        Box::pin(self.pool.clone().run(span, move |layer| layer.refresh_all(&message.ids)))
    }
}

impl Handler<DiscardPatch> for Registry {
    type Result = ResponseFuture<Result<Vec<Patch>, ActorError>>;

    fn handle(&mut self, message: DiscardPatch, _: &mut Self::Context) -> Self::Result {
        let span = tracing::info_span!("discard");
        let DiscardPatch { ids, reason_text } = message;
        let discard = move |layer: &DiffStagingLayer| layer.discard(&ids, reason_text.as_deref());
        Box::pin(self.pool.clone().run(span, discard))
    }
}

impl Handler<PerformApply> for Registry {
    type Result = ResponseFuture<Result<ApplyReport, ActorError>>;

    fn handle(&mut self, message: PerformApply, _: &mut Self::Context) -> Self::Result {
        Box::pin(ask(&self.fs, message))
    }
}

impl Handler<UndoApply> for Registry {
    type Result = ResponseFuture<Result<UndoReport, ActorError>>;

    fn handle(&mut self, message: UndoApply, _: &mut Self::Context) -> Self::Result {
        Box::pin(ask(&self.fs, message))
    }
}

impl Handler<RedoApply> for Registry {
    type Result = ResponseFuture<Result<RedoReport, ActorError>>;

    fn handle(&mut self, message: RedoApply, _: &mut Self::Context) -> Self::Result {
        Box::pin(ask(&self.fs, message))
    }
}

impl Handler<Recover> for Registry {
    type Result = ResponseFuture<Result<RecoverReport, ActorError>>;

    fn handle(&mut self, message: Recover, _: &mut Self::Context) -> Self::Result {
        Box::pin(ask(&self.fs, message))
    }
}

impl Handler<AskWatchHealth> for Registry {
    type Result = Option<WatchHealth>;

    fn handle(&mut self, _: AskWatchHealth, _: &mut Self::Context) -> Self::Result {
        self.watching.as_ref().map(Watching::health)
    }
}

impl Handler<Shutdown> for Registry {
    type Result = AtomicResponse<Self, Result<(), ActorError>>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        let sessions: Vec<_> = self.sessions.drain().map(|(_, actor)| actor).collect();
        let (fs, pool) = (self.fs.clone(), self.pool.clone());
        let watching = self.watching.take();
        let (maintenance, events) = (self.maintenance.clone(), self.events.clone());
        let stopped = async move {
            if maintenance.send(super::maintenance::Stop).await.is_err() {
                tracing::debug!("the maintenance actor had stopped already");
            }
            for session in sessions {
                if session.send(super::session::Stop).await.is_err() {
                    tracing::debug!("a session's actor had stopped already");
                }
            }
            // The watcher's thread is waited for, and what was proposed last is made durable.
            let flushed = pool.run(tracing::debug_span!("shutdown"), move |layer| {
                drop(watching);
                layer.flush()
            });
            if let Err(error) = flushed.await {
                tracing::warn!(%error, "a power cut may take what was proposed last");
            }
            let stopped = fs.send(Stop).await;
            if events.send(super::events::Stop).await.is_err() {
                tracing::debug!("the events actor had stopped already");
            }
            stopped.map_err(|_| ActorError::Stopped { actor: "FsActor" })
        };
        AtomicResponse::new(Box::pin(fut::wrap_future::<_, Self>(stopped).map(
            |stopped, registry, context: &mut Context<Self>| {
                if let Some(arbiter) = registry.fs_arbiter.take() {
                    arbiter.stop();
                }
                context.stop();
                stopped
            },
        )))
    }
}
