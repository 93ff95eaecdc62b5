//! One agent's stay: opened, then closed or expired.

use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::time::{Age, Timestamp};

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Takes proposals.
    Open,
    /// Ended by request.
    Closed,
    /// Ended by silence.
    Expired,
}

impl SessionState {
    /// The word used in the store and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Expired => "expired",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Closed, Self::Expired].into_iter().find(|state| state.as_str() == word)
    }
}

/// One agent's stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its name, unique among the open ones.
    pub label: String,
    /// Where it stands.
    pub state: SessionState,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When an agent last did something in it.
    pub last_active_at: Timestamp,
    /// When silence ends it.
    pub expires_at: Timestamp,
    /// The process that serves it; `None` when it is served by short-lived ones.
    pub owner_pid: Option<u32>,
    /// When that process was found dead. The session stays open until it expires,
    /// and whoever opens it again takes it over.
    pub orphaned_at: Option<Timestamp>,
    /// How old the state was when an agent last did something in it.
    #[serde(skip)]
    pub(crate) active_age: Age,
    /// How old the state is when silence ends it: a clock can be wrong.
    #[serde(skip)]
    pub(crate) expires_age: Age,
}
