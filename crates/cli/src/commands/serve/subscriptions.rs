//! The subscriptions of a client, and how each is ended.

use std::collections::HashMap;

use staging_core::ErrorKind;
use tokio::sync::oneshot;

use crate::failure::Failure;

/// How many subscriptions a client may have.
const SUBSCRIPTIONS_MAX: usize = 16;

/// The subscriptions of a client.
#[derive(Default)]
pub(super) struct Subscriptions {
    last: u64,
    open: HashMap<u64, oneshot::Sender<Ending>>,
}

/// How a subscription ends.
pub(super) enum Ending {
    /// At once.
    Unsubscribed,
    /// Once everything that has happened is sent.
    ServerEnds,
}

impl Subscriptions {
    /// Adds one: its number, and what it is ended by.
    pub(super) fn add(&mut self) -> Result<(u64, oneshot::Receiver<Ending>), Failure> {
        self.open.retain(|_, ending| !ending.is_closed());
        if self.open.len() >= SUBSCRIPTIONS_MAX {
            let message = format!("a client has at most {SUBSCRIPTIONS_MAX} subscriptions");
            return Err(Failure::new(ErrorKind::Limit, message));
        }
        self.last += 1;
        let (ending, ended) = oneshot::channel();
        self.open.insert(self.last, ending);
        Ok((self.last, ended))
    }

    /// Ends one; whether there was one of this number.
    pub(super) fn remove(&mut self, subscription: u64) -> bool {
        let ending = self.open.remove(&subscription);
        // One that has ended needs no message.
        ending.map(|ending| ending.send(Ending::Unsubscribed)).is_some()
    }

    /// Ends all, once what has happened is sent.
    pub(super) fn end(&mut self) {
        for (_, ending) in self.open.drain() {
            // One that has ended needs no message.
            let _ = ending.send(Ending::ServerEnds);
        }
    }
}
