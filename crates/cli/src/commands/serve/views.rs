//! What the methods answer, where no command of the terminal prints the same.

use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{ApplyStatus, EventRecord, Session};

/// The result of `hello`.
#[derive(Serialize, JsonSchema)]
pub(super) struct HelloView {
    /// The version of Greenroom.
    pub(super) version: &'static str,
    /// The version of the protocol; it grows when something changes its meaning.
    pub(super) protocol: u32,
    /// The workspace's root.
    pub(super) workspace: String,
    /// The names of the methods.
    pub(super) methods: &'static [&'static str],
    /// The longest line that is read, in bytes.
    pub(super) line_bytes_max: usize,
    /// How many calls may wait for their answer before the next line is read.
    pub(super) calls_in_flight_max: usize,
    /// The agent in whose environment the server runs; null where none says so.
    pub(super) agent: Option<&'static str>,
}

/// The result of `open_session`.
#[derive(Serialize, JsonSchema)]
pub(super) struct SessionView {
    pub(super) session: Session,
}

/// The result of `sessions`.
#[derive(Serialize, JsonSchema)]
pub(super) struct SessionsView {
    pub(super) sessions: Vec<Session>,
}

/// The result of `apply_status`.
#[derive(Serialize, JsonSchema)]
pub(super) struct ApplyStatusView {
    /// Null while no apply of that name has begun.
    pub(super) status: Option<ApplyStatus>,
}

/// The result of `events`.
#[derive(Serialize, JsonSchema)]
pub(super) struct EventsView {
    pub(super) events: Vec<EventRecord>,
}

/// The result of `subscribe`.
#[derive(Serialize, JsonSchema)]
pub(super) struct SubscribedView {
    /// The subscription, which its notifications name.
    pub(super) subscription: u64,
    /// The entry of the log after which it begins.
    pub(super) since: u64,
}

/// The result of `unsubscribe`.
#[derive(Serialize, JsonSchema)]
pub(super) struct UnsubscribedView {
    pub(super) subscription: u64,
}
