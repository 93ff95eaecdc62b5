//! What the client waits for.

use std::collections::HashMap;
use std::sync::Arc;

use rmcp::model::RequestId;
use tokio::sync::watch;

/// How many requests may wait for their answer before the next line is read.
const IN_FLIGHT_MAX: usize = 64;
/// How long their lines may be together before the next one is read.
const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;

/// Requests that were taken and not answered yet, shared with the decisions in their answers.
pub(crate) type InFlight = Arc<watch::Sender<Unanswered>>;

/// What was taken and not answered yet.
#[derive(Default)]
pub(crate) struct Unanswered {
    /// With the lengths of their lines.
    pub(crate) requests: HashMap<RequestId, usize>,
    /// Errors of this transport's own that are being written.
    pub(crate) errors: usize,
}

impl Unanswered {
    /// Whether the client still waits for the answer to this request.
    pub(crate) fn has(&self, id: &RequestId) -> bool {
        self.requests.contains_key(id)
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.len() + self.errors
    }

    pub(crate) fn has_room(&self) -> bool {
        self.count() < IN_FLIGHT_MAX && self.requests.values().sum::<usize>() < IN_FLIGHT_BYTES_MAX
    }
}
