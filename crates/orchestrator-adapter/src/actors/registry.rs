//! The registry: opens, finds, expires and lists sessions.

use std::collections::HashMap;

use actix::prelude::*;
use staging_core::{
    ApplyReport, ApplyStatus, DiffStagingLayer, DiskOwner, Patch, Proposed, RecoverReport,
    RedoReport, Session, SessionId, SessionState, Status, UndoReport, WatchHealth, Watching,
};
use tokio::sync::mpsc;

use super::events::{EventsActor, Forwarder};
use super::fs::{FsActor, ask};
use super::maintenance::MaintenanceActor;
use super::pool::Pool;
use super::session::{SessionActor, show};
use super::{Plain, paused};
use crate::error::ActorError;
use crate::messages::{
    AskApply, AskStatus, AskWatchHealth, DiscardPatch, EventDelivery, ListSessions, OpenEvents,
    PerformApply, Recover, RedoApply, RefreshPatches, ShowDiff, ShownDiff, Shutdown, Stop,
    Subscribe, UndoApply,
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

/// An answer that other messages do not wait for.
type Answer<T> = ResponseFuture<Result<T, ActorError>>;

impl Registry {
    /// Starts the registry on the current arbiter, with the FsActor, which owns the disk on a thread
    /// of its own, and the actors of events and maintenance.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn launch(owner: DiskOwner) -> Result<Addr<Self>, ActorError> {
        let layer = owner.layer();
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
        let (fs, arbiter) = FsActor::launch(owner);
        let events = EventsActor::launch(layer.clone(), pool.clone());
        let maintenance = MaintenanceActor::launch(layer.clone(), pool.clone(), fs.clone());
        let (fs_arbiter, sessions) = (Some(arbiter), HashMap::new());
        let registry =
            Self { layer, pool, fs, fs_arbiter, events, sessions, watching, maintenance };
        Ok(registry.start())
    }

    fn run<T: Send + 'static>(
        &self,
        span: tracing::Span,
        work: impl FnOnce(&DiffStagingLayer) -> staging_core::Result<T> + Send + 'static,
    ) -> Answer<T> {
        Box::pin(self.pool.clone().run(span, work))
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

/// An answer, until which the mailbox pauses.
type Paused<T> = AtomicResponse<Registry, Result<T, ActorError>>;

handlers! { Registry: Paused;
    OpenSession { label } -> OpenedSession, |registry, _| {
        let open = move |layer: &DiffStagingLayer| layer.open_session(&label);
        let opened = registry.run(tracing::info_span!("open_session"), open);
        paused(opened, |opened, registry: &mut Self, _| {
            let session = opened?;
            let actor = registry.actor_of(&session);
            Ok(OpenedSession { session, actor })
        })
    };
    ListSessions -> Vec<Session>, |registry, _| {
        let listed =
            registry.run(tracing::info_span!("list_sessions"), DiffStagingLayer::sessions);
        paused(listed, |listed, registry: &mut Self, _| {
            // An actor whose session has ended serves nobody.
            for session in listed.iter().flatten() {
                if session.state != SessionState::Open {
                    registry.sessions.remove(&session.id);
                }
            }
            listed
        })
    };
    Shutdown -> (), |registry, _| {
        let sessions: Vec<_> = registry.sessions.drain().map(|(_, actor)| actor).collect();
        let (fs, pool) = (registry.fs.clone(), registry.pool.clone());
        let watching = registry.watching.take();
        let (maintenance, events) = (registry.maintenance.clone(), registry.events.clone());
        let stopped = async move {
            if maintenance.send(Stop).await.is_err() {
                tracing::debug!("the maintenance actor had stopped already");
            }
            for session in sessions {
                if session.send(Stop).await.is_err() {
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
            if events.send(Stop).await.is_err() {
                tracing::debug!("the events actor had stopped already");
            }
            stopped.map_err(|_| ActorError::Stopped { actor: "FsActor" })
        };
        paused(stopped, |stopped, registry: &mut Self, context: &mut Context<Self>| {
            if let Some(arbiter) = registry.fs_arbiter.take() {
                arbiter.stop();
            }
            context.stop();
            stopped
        })
    };
}

handlers! { Registry: Answer;
    Subscribe { recipient } -> (), |registry, _| {
        let subscribed = registry.events.send(Subscribe { recipient });
        Box::pin(async move { subscribed.await.unwrap_or(Err(EVENTS_STOPPED)) })
    };
    OpenEvents -> mpsc::Receiver<EventDelivery>, |registry, _| {
        let (sender, receiver) = mpsc::channel(1);
        let capacity = registry.layer.options().mailbox_capacity.max(1);
        let forwarder = Forwarder::create(|context| {
            context.set_mailbox_capacity(capacity);
            Forwarder(sender)
        });
        let subscribed = registry.events.send(Subscribe { recipient: forwarder.recipient() });
        Box::pin(async move {
            subscribed.await.unwrap_or(Err(EVENTS_STOPPED))?;
            Ok(receiver)
        })
    };
    AskApply { request } -> Option<ApplyStatus>, |registry, _| {
        let span = tracing::info_span!("ask_apply", %request);
        registry.run(span, move |layer| layer.apply_status(&request))
    };
    AskStatus -> Status, |registry, _| {
        registry.run(tracing::info_span!("status"), DiffStagingLayer::status)
    };
    ShowDiff { ids, options } -> ShownDiff, |registry, _| {
        registry.run(tracing::info_span!("show_diff"), move |layer| show(layer, &ids, &options))
    };
    RefreshPatches { ids } -> Vec<Proposed>, |registry, _| {
        registry.run(tracing::info_span!("refresh"), move |layer| layer.refresh_all(&ids))
    };
    DiscardPatch { ids, reason_text, comments } -> Vec<Patch>, |registry, _| {
        let discard = move |layer: &DiffStagingLayer| {
            layer.discard_commented(&ids, reason_text.as_deref(), &comments)
        };
        registry.run(tracing::info_span!("discard"), discard)
    };
    PerformApply { request } -> ApplyReport, |registry, _| {
        Box::pin(ask(&registry.fs, PerformApply { request }))
    };
    UndoApply { request } -> UndoReport, |registry, _| {
        Box::pin(ask(&registry.fs, UndoApply { request }))
    };
    RedoApply { request } -> RedoReport, |registry, _| {
        Box::pin(ask(&registry.fs, RedoApply { request }))
    };
    Recover -> RecoverReport, |registry, _| Box::pin(ask(&registry.fs, Recover));
}

const EVENTS_STOPPED: ActorError = ActorError::Stopped { actor: "events actor" };

handlers! { Registry: Plain;
    AskWatchHealth -> Option<WatchHealth>, |registry, _| {
        registry.watching.as_ref().map(Watching::health)
    };
}
