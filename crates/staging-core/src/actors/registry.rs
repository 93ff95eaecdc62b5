//! The registry: opens, finds, expires and lists sessions.

use std::collections::HashMap;

use actix::prelude::*;

use super::events::EventsActor;
use super::fs::{FsActor, Stop};
use super::pool::Pool;
use super::{ActorError, SessionActor, Subscribe};
use crate::ids::SessionId;
use crate::layer::DiffStagingLayer;
use crate::session::{Session, SessionState};

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
}

impl Registry {
    /// Starts the registry with its FsActor (on a thread of its own) and its
    /// events actor, on the current arbiter.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn launch(layer: DiffStagingLayer) -> Result<Addr<Self>, ActorError> {
        let pool = Pool::new(layer.clone());
        let newest =
            pool.clone().run(tracing::debug_span!("newest_event"), |layer| layer.newest_event());
        let seq = newest.await?;
        let (fs, arbiter) = FsActor::launch(layer.clone());
        let events = EventsActor::launch(&layer, pool.clone(), seq);
        let fs_arbiter = Some(arbiter);
        Ok(Self { layer, pool, fs, fs_arbiter, events, sessions: HashMap::new() }.start())
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

impl Handler<Shutdown> for Registry {
    type Result = AtomicResponse<Self, Result<(), ActorError>>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        let sessions: Vec<_> = self.sessions.drain().map(|(_, actor)| actor).collect();
        let fs = self.fs.clone();
        let stopped = async move {
            for session in sessions {
                if session.send(super::session::Stop).await.is_err() {
                    tracing::debug!("a session's actor had stopped already");
                }
            }
            fs.send(Stop).await.map_err(|_| ActorError::Stopped { actor: "FsActor" })
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
