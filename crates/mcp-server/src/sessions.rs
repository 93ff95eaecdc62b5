//! The session of a call. The name that a client gives is a label, and no reason for trust.

use std::collections::HashMap;

use orchestrator_adapter::{OpenedSession, Staging};
use staging_core::{AGENT_NAME_BYTES_MAX, agent_label};

use crate::captured;
use crate::failure::Failure;

/// How many sessions of one connection are remembered.
const SESSIONS_MAX: usize = 1024;

/// How the sessions of a connection are named.
#[derive(Clone, Debug)]
pub enum SessionName {
    /// One session for every call, of this label.
    Fixed(String),
    /// The session that a call's `_meta.sessionId` names, and this label where it names none.
    PerCall {
        /// The label of calls that name no session.
        otherwise: String,
    },
}

impl SessionName {
    /// The label for a call.
    pub(crate) fn label(&self, claimed: Option<&str>) -> Result<String, Failure> {
        match (self, claimed) {
            (Self::Fixed(label), _) | (Self::PerCall { otherwise: label }, None) => {
                Ok(label.clone())
            }
            (Self::PerCall { .. }, Some(name)) => agent_label(name).ok_or_else(|| {
                Failure::new(format!(
                    "`_meta.sessionId` must have 1 to {AGENT_NAME_BYTES_MAX} bytes without spaces"
                ))
            }),
        }
    }
}

/// The sessions that this connection has opened.
pub(crate) struct Sessions {
    staging: Staging,
    name: SessionName,
    open: HashMap<String, SessionGuard>,
}

/// One session, and what the server remembers of it.
#[derive(Clone)]
pub(crate) struct SessionGuard {
    pub(crate) session: OpenedSession,
    pub(crate) label: String,
}

impl Sessions {
    pub(crate) fn new(staging: Staging, name: SessionName) -> Self {
        Self { staging, name, open: HashMap::new() }
    }

    /// The session of a call, opened when there is none. Opening is left to the first call, so
    /// that a client that only looks which tools there are leaves nothing behind.
    pub(crate) async fn guard(&mut self, claimed: Option<&str>) -> Result<SessionGuard, Failure> {
        let label = self.name.label(claimed)?;
        if let Some(guard) = self.open.get(&label) {
            return Ok(guard.clone());
        }
        if self.open.len() >= SESSIONS_MAX {
            // Those that are still in use are found again by their labels.
            self.open.clear();
        }
        self.open_named(label).await
    }

    /// Opens another session where one has ended.
    pub(crate) async fn replace(&mut self, ended: &SessionGuard) -> Result<SessionGuard, Failure> {
        self.open.remove(&ended.label);
        self.open_named(ended.label.clone()).await
    }

    async fn open_named(&mut self, label: String) -> Result<SessionGuard, Failure> {
        let session = self.staging.open_session(&label).await?;
        let layer = self.staging.layer().clone();
        let imported = tokio::task::spawn_blocking(move || captured::import_all(&layer)).await;
        imported.map_err(|_| Failure::new("the import of what commands wrote panicked"))?;
        let guard = SessionGuard { session, label: label.clone() };
        self.open.insert(label, guard.clone());
        Ok(guard)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, Some("mine"))]
    #[case(Some("0a-1b"), Some("agent:0a-1b"))]
    #[case(Some("s1"), Some("agent:s1"))]
    #[case(Some(""), None)]
    #[case(Some("a b"), None)]
    #[case(Some("a\nb"), None)]
    fn what_a_client_claims_is_a_label_of_its_own_kind(
        #[case] claimed: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let name = SessionName::PerCall { otherwise: "mine".to_owned() };
        assert_eq!(name.label(claimed).ok().as_deref(), expected);
        let fixed = SessionName::Fixed("chosen".to_owned());
        assert_eq!(fixed.label(claimed).ok().as_deref(), Some("chosen"));
    }
}
