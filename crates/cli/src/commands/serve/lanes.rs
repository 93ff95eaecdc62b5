//! Sessions that the client has opened, each with the queue of its calls.

use std::collections::HashMap;
use std::pin::Pin;

use orchestrator_adapter::actix::Addr;
use orchestrator_adapter::{OpenedSession, SessionActor};
use staging_core::SessionId;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// A call that waits for those before it.
type Job = Pin<Box<dyn Future<Output = ()>>>;

/// The open sessions.
#[derive(Default)]
pub(super) struct Lanes(HashMap<SessionId, Lane>);

struct Lane {
    actor: Addr<SessionActor>,
    /// The room for calls limits its length.
    queue: mpsc::UnboundedSender<Job>,
}

impl Lanes {
    /// The queue of a session.
    pub(super) fn queue(&self, session: SessionId) -> Option<mpsc::UnboundedSender<Job>> {
        self.0.get(&session).map(|lane| lane.queue.clone())
    }

    /// The actor of a session.
    pub(super) fn actor(&self, session: SessionId) -> Option<Addr<SessionActor>> {
        self.0.get(&session).map(|lane| lane.actor.clone())
    }

    /// Serves a session that was opened.
    pub(super) fn add(&mut self, opened: &OpenedSession) {
        let actor = opened.actor.clone();
        if let Some(lane) = self.0.get_mut(&opened.session.id) {
            lane.actor = actor;
            return;
        }
        let (queue, mut jobs) = mpsc::unbounded_channel::<Job>();
        spawn_local(async move {
            while let Some(job) = jobs.recv().await {
                job.await;
            }
        });
        self.0.insert(opened.session.id, Lane { actor, queue });
    }

    /// Forgets a session once its queue is empty.
    pub(super) fn remove(&mut self, session: SessionId) {
        self.0.remove(&session);
    }
}
