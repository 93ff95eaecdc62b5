//! Sessions that the client has opened, each with the queue of its calls.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orchestrator_adapter::actix::Addr;
use orchestrator_adapter::{OpenedSession, SessionActor};
use staging_core::SessionId;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// A call that waits for those before it.
type Job = Pin<Box<dyn Future<Output = ()>>>;

/// How many sessions there are before it is looked for ended ones the first time.
const SESSIONS_USUAL: usize = 64;

/// The ids of the open sessions, for the thread that reads. Cloning gives another handle.
#[derive(Clone, Default)]
pub(super) struct OpenSessions(Arc<Mutex<HashSet<SessionId>>>);

impl OpenSessions {
    /// Whether a session is open here.
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.ids().contains(&session)
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<SessionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open sessions.
pub(super) struct Lanes {
    lanes: HashMap<SessionId, Lane>,
    ids: OpenSessions,
    /// How many there are before it is looked for ended ones.
    checked_at: usize,
}

struct Lane {
    actor: Addr<SessionActor>,
    /// The room for calls limits its length.
    queue: mpsc::UnboundedSender<Job>,
}

impl Lanes {
    pub(super) fn new(ids: OpenSessions) -> Self {
        Self { lanes: HashMap::new(), ids, checked_at: SESSIONS_USUAL }
    }

    /// The queue of a session.
    pub(super) fn queue(&self, session: SessionId) -> Option<mpsc::UnboundedSender<Job>> {
        self.lanes.get(&session).map(|lane| lane.queue.clone())
    }

    /// The actor of a session.
    pub(super) fn actor(&self, session: SessionId) -> Option<Addr<SessionActor>> {
        self.lanes.get(&session).map(|lane| lane.actor.clone())
    }

    /// Serves a session that was opened.
    pub(super) fn add(&mut self, opened: &OpenedSession) {
        let actor = opened.actor.clone();
        if let Some(lane) = self.lanes.get_mut(&opened.session.id) {
            lane.actor = actor;
            return;
        }
        let (queue, mut jobs) = mpsc::unbounded_channel::<Job>();
        spawn_local(async move {
            while let Some(job) = jobs.recv().await {
                job.await;
            }
        });
        self.lanes.insert(opened.session.id, Lane { actor, queue });
        self.ids.ids().insert(opened.session.id);
    }

    /// Forgets a session once its queue is empty.
    pub(super) fn remove(&mut self, session: SessionId) {
        self.lanes.remove(&session);
        self.ids.ids().remove(&session);
    }

    /// The sessions, once there are twice as many as were open when it was looked for ended ones.
    pub(super) fn crowded(&self) -> Option<Vec<SessionId>> {
        let is_crowded = self.lanes.len() >= self.checked_at;
        is_crowded.then(|| self.lanes.keys().copied().collect())
    }

    /// Forgets sessions that have ended elsewhere.
    pub(super) fn remove_ended(&mut self, ended: &[SessionId]) {
        for session in ended {
            self.remove(*session);
        }
        self.checked_at = SESSIONS_USUAL.max(2 * self.lanes.len());
    }
}
