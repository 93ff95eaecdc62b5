//! Opens, closes and lists sessions.

use orchestrator_adapter::{CloseSession as Close, DiffStagingLayer};
use staging_core::{Session, SessionId, SessionState, StagingError};

use super::params::{CloseSession, OpenSession};
use super::protocol::body;
use super::server::{Answer, Answered, Server, sent};
use super::views::{SessionView, SessionsView};
use crate::failure::Failure;
use crate::json::{ClosedView, patches};

impl Server {
    pub(super) async fn open_session(&self, params: OpenSession) -> Answered {
        let named = params.session;
        let label = match named.parse::<SessionId>() {
            Ok(_) => self.blocking(move |layer| open_label(layer.find_session(&named)?)).await?,
            Err(_) => named,
        };
        let opened = self.staging.open_session(&label).await?;
        self.forget_ended().await;
        self.lanes.borrow_mut().add(&opened);
        Ok(Answer::of(&SessionView { session: opened.session }))
    }

    /// Forgets sessions that have ended without this client, from time to time.
    async fn forget_ended(&self) {
        let Some(sessions) = self.lanes.borrow().crowded() else { return };
        let find = |layer: &DiffStagingLayer| {
            let mut ended = sessions;
            ended.retain(|id| {
                let found = layer.find_session(&id.to_string());
                found.is_ok_and(|session| session.state != SessionState::Open)
            });
            Ok(ended)
        };
        if let Ok(ended) = self.blocking(find).await {
            self.lanes.borrow_mut().remove_ended(&ended);
        }
    }

    pub(super) async fn close_session(&self, params: CloseSession) -> Answered {
        let CloseSession { session, expect, reason } = params;
        let actor = self.actor(session)?;
        self.import(session).await?;
        let closed = sent(actor.send(Close { expect, reason_text: reason }).await)?;
        self.lanes.borrow_mut().remove(session);
        // What its commands have written is removed with it.
        self.import_all().await;
        Ok(Answer::of(&ClosedView {
            session: &closed.session,
            rejected: patches(&closed.rejected),
            dismissed: patches(&closed.dismissed),
        }))
    }

    pub(super) async fn sessions(&self) -> Answered {
        let sessions = self.staging.sessions().await?;
        self.reading(move |_| Ok(body(&SessionsView { sessions }))).await
    }
}

/// The label of an open session, by which it is opened again.
fn open_label(session: Session) -> Result<String, Failure> {
    match session.state {
        SessionState::Open => Ok(session.label),
        state => Err(StagingError::SessionNotOpen { session: session.id, state }.into()),
    }
}
