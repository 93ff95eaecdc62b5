//! The registry: opens, finds, expires and lists sessions.

use std::collections::HashMap;
use std::time::Duration;

use actix::prelude::*;

use super::error::{ActorError, AskError, ListError, OpenError, ShutdownError, SubscribeError};
use super::events::EventsActor;
use super::fs::{FsActor, Stop};
use super::pool::Pool;
use super::{SessionActor, Subscribe};
use crate::ids::{RequestId, SessionId};
use crate::layer::{ApplyStatus, DiffStagingLayer};
use crate::session::{Session, SessionState};
use crate::watching::{WatchHealth, Watching};

/// Opens the session of this label, or finds it open.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// The session's name.
    pub label: String,
}

impl Message for OpenSession {
    type Result = Result<OpenedSession, OpenError>;
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
    type Result = Result<Vec<Session>, ListError>;
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
    type Result = Result<Option<ApplyStatus>, AskError>;
}

/// Asks how well the files of pending patches are watched; `None` when they are
/// not, because `watch_files` says so.
#[derive(Clone, Copy, Debug)]
pub struct AskWatchHealth;

impl Message for AskWatchHealth {
    type Result = Option<WatchHealth>;
}

/// Stops every actor after what is queued is done, and finishes the tidying;
/// answers when nothing of them is left to do.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown;

impl Message for Shutdown {
    type Result = Result<(), ShutdownError>;
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
    /// Whether a flush or a sweep is under way.
    caring: bool,
}

/// How much a power cut may take: what was acknowledged within this.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How often the store's log is looked at.
const FOLD_EVERY: Duration = Duration::from_millis(200);

/// How long one sweep may take; the next one goes on.
const SWEEP_BUDGET: Duration = Duration::from_millis(500);

impl Registry {
    /// Starts the registry with its FsActor (on a thread of its own) and its
    /// events actor, on the current arbiter.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn launch(layer: DiffStagingLayer) -> Result<Addr<Self>, ActorError> {
        let pool = Pool::new(layer.clone());
        let leave = tracing::debug_span!("leave_log_to_folding");
        pool.clone().run(leave, DiffStagingLayer::leave_log_to_folding).await?;
        let watching = if layer.options().watch_files {
            let watch =
                pool.clone().run(tracing::debug_span!("watch"), DiffStagingLayer::watch).await?;
            Some(watch)
        } else {
            None
        };
        let (fs, arbiter) = FsActor::launch(layer.clone());
        let events = EventsActor::launch(layer.clone(), pool.clone());
        let fs_arbiter = Some(arbiter);
        let sessions = HashMap::new();
        Ok(Self { layer, pool, fs, fs_arbiter, events, sessions, watching, caring: false }.start())
    }

    /// Runs what nobody waits for, one at a time.
    fn care(
        &mut self,
        context: &mut Context<Self>,
        name: &'static str,
        work: impl FnOnce(&DiffStagingLayer) -> crate::Result<()> + Send + 'static,
    ) {
        if std::mem::replace(&mut self.caring, true) {
            return;
        }
        let cared = self.pool.clone().run(tracing::debug_span!("care", name), work);
        context.spawn(fut::wrap_future::<_, Self>(cared).map(move |cared, registry, _| {
            registry.caring = false;
            if let Err(error) = cared {
                tracing::warn!(%error, name, "tried again later");
            }
        }));
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
        context.run_interval(FLUSH_EVERY, |registry, context| {
            if registry.layer.needs_flush() {
                registry.care(context, "flush", DiffStagingLayer::flush_beside_work);
            }
        });
        context.run_interval(FOLD_EVERY, |registry, context| {
            if registry.layer.has_long_log() {
                registry.care(context, "fold the log", DiffStagingLayer::fold_log);
            }
        });
        context.run_interval(self.layer.options().sweep_every, |registry, context| {
            registry.care(context, "sweep", |layer| layer.sweep(SWEEP_BUDGET).map(drop));
        });
    }
}

impl Handler<OpenSession> for Registry {
    type Result = AtomicResponse<Self, Result<OpenedSession, OpenError>>;

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
    type Result = AtomicResponse<Self, Result<Vec<Session>, ListError>>;

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
                Ok(listed?)
            },
        )))
    }
}

impl Handler<Subscribe> for Registry {
    type Result = ResponseFuture<Result<(), SubscribeError>>;

    fn handle(&mut self, message: Subscribe, _: &mut Self::Context) -> Self::Result {
        let subscribed = self.events.send(message);
        Box::pin(async move {
            subscribed.await.map_err(|_| ActorError::Stopped { actor: "events actor" })?
        })
    }
}

impl Handler<AskApply> for Registry {
    type Result = ResponseFuture<Result<Option<ApplyStatus>, AskError>>;

    fn handle(&mut self, message: AskApply, _: &mut Self::Context) -> Self::Result {
        let request = message.request;
        let span = tracing::info_span!("ask_apply", %request);
        let asked = self.pool.clone().run(span, move |layer| layer.apply_status(&request));
        Box::pin(async move { Ok(asked.await?) })
    }
}

impl Handler<AskWatchHealth> for Registry {
    type Result = Option<WatchHealth>;

    fn handle(&mut self, _: AskWatchHealth, _: &mut Self::Context) -> Self::Result {
        self.watching.as_ref().map(Watching::health)
    }
}

impl Handler<Shutdown> for Registry {
    type Result = AtomicResponse<Self, Result<(), ShutdownError>>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        let sessions: Vec<_> = self.sessions.drain().map(|(_, actor)| actor).collect();
        let (fs, pool) = (self.fs.clone(), self.pool.clone());
        let watching = self.watching.take();
        let stopped = async move {
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
            fs.send(Stop).await.map_err(|_| ActorError::Stopped { actor: "FsActor" })
        };
        AtomicResponse::new(Box::pin(fut::wrap_future::<_, Self>(stopped).map(
            |stopped, registry, context: &mut Context<Self>| {
                if let Some(arbiter) = registry.fs_arbiter.take() {
                    arbiter.stop();
                }
                context.stop();
                Ok(stopped?)
            },
        )))
    }
}
