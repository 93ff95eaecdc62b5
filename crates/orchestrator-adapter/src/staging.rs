//! The facade that an orchestrator embeds.

use std::path::Path;

use actix::prelude::*;
use staging_core::actors::{
    ActorError, AskApply, AskError, AskWatchHealth, EventDelivery, ListError, ListSessions,
    OpenError, OpenSession, OpenedSession, ProposeError, Registry, SafeWrite, SessionActor,
    Shutdown, ShutdownError, Subscribe, SubscribeError,
};
use staging_core::{
    ApplyStatus, DiffStagingLayer, Proposed, RelPath, RequestId, Session, StagingError,
    StagingOptions, WatchHealth,
};

/// One workspace under Greenroom, with its actors running.
///
/// It has to be opened and used on a thread where an actix system runs. Cloning
/// is cheap and gives another handle on the same actors.
#[derive(Clone)]
pub struct Staging {
    layer: DiffStagingLayer,
    registry: Addr<Registry>,
}

impl Staging {
    /// Opens the workspace and starts the actors.
    ///
    /// A set that an earlier process left half applied is decided first.
    ///
    /// # Errors
    /// When the workspace or the state directory cannot be used.
    pub async fn open(options: StagingOptions) -> Result<Self, ActorError> {
        let opened = tokio::task::spawn_blocking(move || DiffStagingLayer::open(options)).await;
        let layer = opened.map_err(|_| ActorError::Panicked)??;
        let registry = Registry::launch(layer.clone()).await?;
        Ok(Self { layer, registry })
    }

    /// Opens the session of this label, or finds it open.
    ///
    /// # Errors
    /// When the label cannot be one, or the store fails.
    pub async fn open_session(&self, label: &str) -> Result<OpenedSession, OpenError> {
        answered(self.registry.send(OpenSession { label: label.to_owned() }).await)
    }

    /// Every session, ended ones too.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sessions(&self) -> Result<Vec<Session>, ListError> {
        answered(self.registry.send(ListSessions).await)
    }

    /// Sends every event from now on to `recipient`.
    ///
    /// # Errors
    /// When the actors have stopped.
    pub async fn subscribe(
        &self,
        recipient: Recipient<EventDelivery>,
    ) -> Result<(), SubscribeError> {
        answered(self.registry.send(Subscribe { recipient }).await)
    }

    /// How the apply of this name stands, after a timeout or a restart; `None` while
    /// nothing of that name has begun.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn apply_status(&self, request: RequestId) -> Result<Option<ApplyStatus>, AskError> {
        answered(self.registry.send(AskApply { request }).await)
    }

    /// How well the files of pending patches are watched; `None` when they are not.
    pub async fn watch_health(&self) -> Option<WatchHealth> {
        self.registry.send(AskWatchHealth).await.ok().flatten()
    }

    /// The actor that opens sessions, for those who would rather send messages.
    pub fn registry(&self) -> &Addr<Registry> {
        &self.registry
    }

    /// The blocking calls below the actors, for reading: what swaps files goes
    /// through the actors, so that one of them owns every swap.
    pub fn layer(&self) -> &DiffStagingLayer {
        &self.layer
    }

    /// Stops the actors after what is queued is done.
    ///
    /// # Errors
    /// When they had stopped already, or the last tidying failed.
    pub async fn shutdown(self) -> Result<(), ShutdownError> {
        answered(self.registry.send(Shutdown).await)
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
) -> Result<Proposed, ProposeError> {
    let path = RelPath::from_path(path.as_ref()).map_err(StagingError::Path)?;
    let sent = session.send(SafeWrite { path, content: content.into(), mode: None }).await;
    sent.unwrap_or(Err(ActorError::Stopped { actor: "session" }.into()))
}

fn answered<T, E: From<ActorError>>(sent: Result<Result<T, E>, MailboxError>) -> Result<T, E> {
    sent.unwrap_or_else(|_| Err(ActorError::Stopped { actor: "registry" }.into()))
}
