//! The server of one client: what it holds, and how its answers are made.

use std::cell::RefCell;
use std::sync::Arc;

use orchestrator_adapter::actix::{Addr, MailboxError};
use orchestrator_adapter::{ActorError, DiffStagingLayer, SessionActor, Staging};
use serde::Serialize;
use staging_core::{ErrorKind, SessionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::lanes::{Lanes, OpenSessions};
use super::output::Output;
use super::protocol::{LINE_BYTES_MAX, body};
use super::subscriptions::Subscriptions;
use crate::failure::Failure;
use crate::location::Location;

/// How many answers that may be long are made at once, and wait to be written.
const LONG_ANSWERS_MAX: usize = 4;

/// Serves one client.
pub(super) struct Server {
    pub(super) staging: Staging,
    pub(super) location: Location,
    pub(super) output: Output,
    pub(super) lanes: RefCell<Lanes>,
    pub(super) subscriptions: RefCell<Subscriptions>,
    long_answers: Arc<Semaphore>,
}

/// A result, and the permit for a long one.
pub(super) struct Answer {
    pub(super) body: String,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(super) fn of(result: &impl Serialize) -> Self {
        Self { body: body(result), permit: None }
    }
}

pub(super) type Answered = Result<Answer, Failure>;

impl Server {
    pub(super) fn new(
        staging: Staging,
        location: Location,
        output: Output,
        sessions: OpenSessions,
    ) -> Self {
        let long_answers = Arc::new(Semaphore::new(LONG_ANSWERS_MAX));
        let (lanes, subscriptions) = (RefCell::new(Lanes::new(sessions)), RefCell::default());
        Self { staging, location, output, lanes, subscriptions, long_answers }
    }

    /// The actor of a session that was opened here.
    pub(super) fn actor(&self, session: SessionId) -> Result<Addr<SessionActor>, Failure> {
        self.lanes.borrow().actor(session).ok_or_else(|| {
            let message = format!("{session} is not open here: open it with `open_session`");
            Failure::new(ErrorKind::Closed, message).of_session(session)
        })
    }

    /// An answer that reads, made where it may block. Few are made at once, because each may be long.
    pub(super) async fn reading(
        &self,
        work: impl FnOnce(&DiffStagingLayer) -> Result<String, Failure> + Send + 'static,
    ) -> Answered {
        let permits = Arc::clone(&self.long_answers);
        let permit = permits.acquire_owned().await.map_err(|_| stopped())?;
        let body = self.blocking(work).await?;
        if body.len() > LINE_BYTES_MAX {
            let message = format!("the answer is longer than {LINE_BYTES_MAX} bytes: ask for less");
            return Err(Failure::new(ErrorKind::Limit, message));
        }
        Ok(Answer { body, permit: Some(permit) })
    }

    /// Work that may block, off the actors' thread.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DiffStagingLayer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let layer = self.staging.layer().clone();
        let done = spawn_blocking(move || work(&layer)).await;
        done.unwrap_or_else(|_| Err(ActorError::Panicked.into()))
    }
}

/// The answer of a session's actor.
pub(super) fn sent<T>(sent: Result<Result<T, ActorError>, MailboxError>) -> Result<T, Failure> {
    sent.unwrap_or(Err(ActorError::Stopped { actor: "session" })).map_err(Failure::from)
}

fn stopped() -> Failure {
    ActorError::Stopped { actor: "server" }.into()
}
