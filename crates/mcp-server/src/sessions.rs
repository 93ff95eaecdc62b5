//! Which session a call belongs to. What a client says of itself is a label, never trust.

use std::collections::HashMap;

use orchestrator_adapter::{OpenedSession, RelPath, Staging};

use crate::failure::Failure;

/// A label may have 200 bytes; what a client adds to it is shorter.
const CLIENT_ID_BYTES_MAX: usize = 120;
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
    fn label(&self, claimed: Option<&str>) -> Result<String, Failure> {
        match (self, claimed) {
            (Self::Fixed(label), _) | (Self::PerCall { otherwise: label }, None) => {
                Ok(label.clone())
            }
            (Self::PerCall { .. }, Some(id)) => claimed_label(id),
        }
    }
}

/// The label of a session that a client names. The prefix keeps it apart from the labels that
/// people give, so that a client cannot name its way into their sessions.
fn claimed_label(id: &str) -> Result<String, Failure> {
    let plain = !id.is_empty()
        && id.len() <= CLIENT_ID_BYTES_MAX
        && id.chars().all(|letter| !letter.is_control() && !letter.is_whitespace());
    if plain {
        return Ok(format!("agent:{id}"));
    }
    Err(Failure::new(format!(
        "`_meta.sessionId` has to be 1 to {CLIENT_ID_BYTES_MAX} bytes without spaces"
    )))
}

/// The sessions that this connection has opened.
pub(crate) struct Sessions {
    staging: Staging,
    name: SessionName,
    open: HashMap<String, Seat>,
}

/// One session, and what the server remembers of it.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) session: OpenedSession,
    pub(crate) label: String,
    pub(crate) memory: std::sync::Arc<std::sync::Mutex<Memory>>,
}

/// What no store knows of a session.
#[derive(Default)]
pub(crate) struct Memory {
    /// Directories that the agent asked for, and that hold nothing yet.
    pub(crate) wanted_dirs: std::collections::BTreeSet<RelPath>,
}

/// How many empty directories are remembered.
const WANTED_DIRS_MAX: usize = 10_000;

impl Memory {
    /// Remembers a directory that holds nothing yet.
    pub(crate) fn remember(&mut self, dir: Option<RelPath>) -> Result<(), Failure> {
        if self.wanted_dirs.len() >= WANTED_DIRS_MAX {
            return Err(Failure::new("too many empty directories: put files into some"));
        }
        self.wanted_dirs.extend(dir);
        Ok(())
    }
}

impl Seat {
    pub(crate) fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // Whole entries come and go, so a panic elsewhere leaves it sound.
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Sessions {
    pub(crate) fn new(staging: Staging, name: SessionName) -> Self {
        Self { staging, name, open: HashMap::new() }
    }

    /// The session of a call, opened when there is none. Opening is left to the first call, so
    /// that a client that only looks which tools there are leaves nothing behind.
    pub(crate) async fn seat(&mut self, claimed: Option<&str>) -> Result<Seat, Failure> {
        let label = self.name.label(claimed)?;
        if let Some(seat) = self.open.get(&label) {
            return Ok(seat.clone());
        }
        if self.open.len() >= SESSIONS_MAX {
            // Those that are still in use are found again by their labels.
            self.open.clear();
        }
        let session = self.staging.open_session(&label).await?;
        let seat = Seat { session, label: label.clone(), memory: std::sync::Arc::default() };
        self.open.insert(label, seat.clone());
        Ok(seat)
    }

    /// Opens another session where one has ended.
    pub(crate) async fn replace(&mut self, ended: &Seat) -> Result<Seat, Failure> {
        self.open.remove(&ended.label);
        let session = self.staging.open_session(&ended.label).await?;
        let memory = std::sync::Arc::clone(&ended.memory);
        memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner).wanted_dirs.clear();
        let seat = Seat { session, label: ended.label.clone(), memory };
        self.open.insert(seat.label.clone(), seat.clone());
        Ok(seat)
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
