//! Subscriptions: every event of every process, once and in the order of the log.
//!
//! A subscription remembers the last entry that it sent. What the actors deliver is sent if it follows
//! on that entry; what is missing before it, because the client reads slowly or subscribed from an
//! earlier entry, is read from the log. So nothing is lost, and only the diffs of those are left out.

use std::rc::Rc;

use orchestrator_adapter::{EventDelivery, Events};
use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{ErrorKind, EventRecord};
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use super::answers::catch_panic;
use super::output::Line;
use super::params::{Subscribe, Unsubscribe};
use super::protocol::{ErrorView, Id, Refusal, answer, body, notification};
use super::room::Ticket;
use super::server::{Answer, Answered, Server};
use super::subscriptions::Ending;
use super::views::{SubscribedView, UnsubscribedView};
use crate::failure::Failure;
use crate::json::TextView;

/// Entries of the log are read this many at a time.
const PAGE: usize = 256;

/// The parameters of an `event` notification.
#[derive(Serialize, JsonSchema)]
pub(super) struct EventView<'a> {
    subscription: u64,
    event: &'a EventRecord,
    /// The diff of a proposed patch, if diffs are wanted, it is not long, and the client reads
    /// quickly enough; left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<TextView>,
}

/// The parameters of a `subscription_ended` notification.
#[derive(Serialize, JsonSchema)]
pub(super) struct EndedView<'a> {
    subscription: u64,
    /// Why it has ended. The events after the last one that was sent are in the log.
    error: ErrorView<'a>,
}

impl Server {
    /// Answers, and then sends the events.
    pub(super) async fn subscribe(
        self: Rc<Self>,
        id: Id,
        params: Subscribe,
        ticket: Option<Ticket>,
    ) {
        let server = Rc::clone(&self);
        match catch_panic(async move { server.begin(&params).await }).await {
            Ok(subscription) => {
                let Subscription { number, position, .. } = subscription;
                let view = SubscribedView { subscription: number, since: position };
                let text = answer(&id, &body(&view));
                self.output.send(Line { text, ticket, permit: None }).await;
                spawn_local(self.run(subscription));
            }
            Err(failure) => {
                let text = Refusal::of(id, failure).to_line();
                self.output.send(Line { text, ticket, permit: None }).await;
            }
        }
    }

    /// Sends the events of a subscription until it ends, and why it does if something failed.
    async fn run(self: Rc<Self>, subscription: Subscription) {
        let (server, number) = (Rc::clone(&self), subscription.number);
        let ended = catch_panic(async move { subscription.run(&server).await }).await;
        let Err(failure) = ended else { return };
        self.subscriptions.borrow_mut().remove(number);
        let message = failure.with_advice();
        let error = ErrorView::of(&message, &failure);
        let view = EndedView { subscription: number, error };
        let text = notification("subscription_ended", &view);
        self.output.send(Line { text, ..Line::default() }).await;
    }

    async fn begin(&self, params: &Subscribe) -> Result<Subscription, Failure> {
        // Before the newest entry is asked for, so that no event is between the two.
        let deliveries = self.staging.events().await?;
        let newest = self.blocking(|layer| Ok(layer.newest_event()?)).await?;
        let position = params.since.unwrap_or(newest);
        if position > newest {
            let message = format!("the log has {newest} entries: {position} is not one of them");
            return Err(Failure::usage(message));
        }
        let (number, ended) = self.subscriptions.borrow_mut().add()?;
        let wants_diffs = params.diffs;
        Ok(Subscription { number, position, wants_diffs, deliveries, ended, ending: None })
    }

    pub(super) fn unsubscribe(&self, params: &Unsubscribe) -> Answered {
        let Unsubscribe { subscription } = *params;
        if !self.subscriptions.borrow_mut().remove(subscription) {
            let message = format!("there is no subscription {subscription}");
            return Err(Failure::new(ErrorKind::NotFound, message));
        }
        Ok(Answer::of(&UnsubscribedView { subscription }))
    }
}

struct Subscription {
    number: u64,
    /// The last entry that was sent.
    position: u64,
    wants_diffs: bool,
    deliveries: Events,
    ended: oneshot::Receiver<Ending>,
    /// Set once the end was received.
    ending: Option<Ending>,
}

impl Subscription {
    async fn run(mut self, server: &Server) -> Result<(), Failure> {
        self.catch_up(server).await?;
        while self.ending.is_none() && !server.output.is_closed() {
            tokio::select! {
                biased;
                ending = &mut self.ended => self.ending = Some(ending.unwrap_or(Ending::Unsubscribed)),
                delivery = self.deliveries.next() => match delivery {
                    Some(delivery) => self.take(server, delivery).await?,
                    None => return Ok(()),
                },
            }
        }
        match self.ending {
            Some(Ending::ServerEnds) => self.catch_up(server).await,
            Some(Ending::Unsubscribed) | None => Ok(()),
        }
    }

    /// Sends a delivery, after what is missing before it.
    async fn take(&mut self, server: &Server, delivery: EventDelivery) -> Result<(), Failure> {
        let EventDelivery { record, diff, .. } = delivery;
        if record.seq > self.position + 1 {
            self.catch_up(server).await?;
        }
        if record.seq == self.position + 1 {
            let diff = diff.filter(|_| self.wants_diffs).map(|diff| diff.to_vec());
            self.send(server, &record, diff).await;
        }
        Ok(())
    }

    /// Sends what the log has behind the last entry that was sent.
    async fn catch_up(&mut self, server: &Server) -> Result<(), Failure> {
        loop {
            let from = self.position;
            let page = server.blocking(move |layer| Ok(layer.events_since(from, PAGE)?)).await?;
            for record in &page {
                self.send(server, record, None).await;
            }
            if self.ending.is_none() {
                self.ending = self.ended.try_recv().ok();
            }
            let is_unwanted = matches!(self.ending, Some(Ending::Unsubscribed));
            if page.len() < PAGE || is_unwanted || server.output.is_closed() {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, server: &Server, event: &EventRecord, diff: Option<Vec<u8>>) {
        self.position = event.seq;
        let view = EventView { subscription: self.number, event, diff: diff.map(TextView::from) };
        let text = notification("event", &view);
        server.output.send(Line { text, ..Line::default() }).await;
    }
}
