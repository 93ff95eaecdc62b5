//! Sessions: each holds the proposals of one agent, from opening to closing or expiry.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ids::SessionId;
use crate::string_enum::string_enum;
use crate::time::{Age, Timestamp};

string_enum! {
    /// The state of a session.
    pub SessionState, "session's state" {
        /// Accepts proposals.
        Open = "open",
        /// Ended by a request.
        Closed = "closed",
        /// Ended because its agent was inactive for too long.
        Expired = "expired",
    }
}

/// A session of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its name, unique among the open sessions.
    pub label: String,
    /// Open, closed or expired.
    pub state: SessionState,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When an agent last used it.
    pub last_active_at: Timestamp,
    /// When it expires unless an agent uses it before.
    pub expires_at: Timestamp,
    /// The process that serves it; `None` when short-lived processes serve it.
    pub owner_pid: Option<u32>,
    /// When that process was found dead. The session stays open until it expires, and the next
    /// process that opens it serves it.
    pub orphaned_at: Option<Timestamp>,
    /// The state's age when an agent last used the session.
    #[serde(skip)]
    pub(crate) active_age: Age,
    /// The state's age at which the session expires; the clock can be wrong, so expiry is
    /// decided by this.
    #[serde(skip)]
    pub(crate) expires_age: Age,
}
