//! The events actor: fans events out to subscribers.
//!
//! The layer's own events come through a bounded channel, with their diffs.
//! Whatever did not fit, and what other processes wrote, is read from the store,
//! at once when this process writes and else every `follow_every`, so that each
//! subscriber gets the log's order without gaps and without repetitions.
//!
//! Nobody pays for what nobody reads: the layer is observed from the first
//! subscription on, and while nobody is there nothing is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::WeakAddr;
use actix::prelude::*;
use crossbeam::channel::{Receiver, Sender, bounded};

use staging_core::{DiffStagingLayer, EventRecord, Notice};
use tokio::sync::mpsc;

use super::pool::Pool;
use super::{Plain, paused};
use crate::error::ActorError;
use crate::messages::{EventDelivery, Stop, Subscribe};

/// How many notices wait for the actor; beyond it their diffs are dropped.
const NOTICES_MAX: usize = 1024;
/// How many events are read from the store at once.
const BATCH: usize = 256;

/// Hands events on to a channel. While nobody takes them out of it, they wait in its mailbox, and
/// what does not fit there is counted as missed.
pub(super) struct Forwarder(pub(super) mpsc::Sender<EventDelivery>);

impl Actor for Forwarder {
    type Context = Context<Self>;
}

impl Handler<EventDelivery> for Forwarder {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, message: EventDelivery, _: &mut Self::Context) -> Self::Result {
        let channel = self.0.clone();
        let sent = async move { channel.send(message).await };
        paused(sent, |sent, _: &mut Self, context: &mut Context<Self>| {
            if sent.is_err() {
                // The stream was dropped.
                context.stop();
            }
        })
    }
}

handlers! { EventsActor: Plain;
    Stop -> (), |actor, context| {
        actor.subscribers.clear();
        context.stop();
    };
}

/// There is something to deliver.
struct Poke;

impl Message for Poke {
    type Result = ();
}

/// Fans events out to subscribers.
pub(super) struct EventsActor {
    layer: DiffStagingLayer,
    pool: Pool,
    /// What the layer tells, once it is observed.
    notices: Option<Receiver<Notice>>,
    poked: Arc<AtomicBool>,
    capacity: usize,
    follow_every: Duration,
    /// Whether the store is being read.
    reading: bool,
    /// Notices behind a gap, for which the store is to be read.
    later: Vec<Notice>,
    /// The last event that was delivered, or that nobody was there for.
    seq: u64,
    subscribers: Vec<Subscriber>,
}

struct Subscriber {
    recipient: Recipient<EventDelivery>,
    missed: u64,
}

impl EventsActor {
    /// Starts it on the current arbiter.
    pub(super) fn launch(layer: DiffStagingLayer, pool: Pool) -> Addr<Self> {
        Self {
            capacity: layer.options().mailbox_capacity,
            follow_every: layer.options().follow_every,
            layer,
            pool,
            notices: None,
            poked: Arc::default(),
            reading: false,
            later: Vec::new(),
            seq: 0,
            subscribers: Vec::new(),
        }
        .start()
    }

    /// Has the layer tell what it does from now on.
    fn observe(&mut self, addr: &Addr<Self>) {
        if self.notices.is_none() {
            let (sender, notices) = bounded(NOTICES_MAX);
            self.notices = Some(notices);
            self.layer.observe(observer(sender, Arc::clone(&self.poked), addr.downgrade()));
        }
    }

    fn waiting_notices(&mut self) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut self.later);
        notices.extend(self.notices.iter().flat_map(Receiver::try_iter));
        notices
    }

    /// Delivers what was read; the notices of what comes behind it are given back.
    fn deliver(&mut self, records: Vec<EventRecord>, notices: Vec<Notice>) -> Vec<Notice> {
        let mut notices = notices.into_iter().peekable();
        for record in records {
            while notices.next_if(|notice| notice.record.seq < record.seq).is_some() {}
            let diff = notices
                .next_if(|notice| notice.record.seq == record.seq)
                .and_then(|notice| notice.diff);
            self.send_to_all(&Arc::new(record), diff.as_ref());
        }
        notices.collect()
    }

    fn send_to_all(&mut self, record: &Arc<EventRecord>, diff: Option<&Arc<[u8]>>) {
        self.seq = record.seq;
        self.subscribers.retain_mut(|subscriber| subscriber.send(record, diff));
    }
}

impl Subscriber {
    /// Whether it is still there.
    fn send(&mut self, record: &Arc<EventRecord>, diff: Option<&Arc<[u8]>>) -> bool {
        let delivery =
            EventDelivery { record: Arc::clone(record), diff: diff.cloned(), missed: self.missed };
        match self.recipient.try_send(delivery) {
            Ok(()) => self.missed = 0,
            Err(SendError::Full(_)) => self.missed += 1,
            Err(SendError::Closed(_)) => return false,
        }
        true
    }
}

/// What the layer calls under its lock: it must not wait.
fn observer(
    sender: Sender<Notice>,
    poked: Arc<AtomicBool>,
    addr: WeakAddr<EventsActor>,
) -> Box<dyn Fn(Notice) + Send + Sync> {
    Box::new(move |notice| {
        // One that does not fit is read from the store.
        drop(sender.try_send(notice));
        if poked.swap(true, Ordering::AcqRel) {
            return;
        }
        let reached = addr.upgrade().is_some_and(|addr| addr.try_send(Poke).is_ok());
        if !reached {
            // A full mailbox: the message at its end delivers as well.
            poked.store(false, Ordering::Release);
        }
    })
}

impl Actor for EventsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.capacity.max(1));
        context.run_interval(self.follow_every, |actor, context| {
            if !actor.subscribers.is_empty() && !actor.reading {
                context.wait(actor.catch_up());
            }
        });
    }
}

/// An answer, until which the mailbox pauses.
type Paused<T> = AtomicResponse<EventsActor, T>;

handlers! { EventsActor: Paused;
    Subscribe { recipient } -> Result<(), ActorError>, |actor, context| {
        actor.observe(&context.address());
        let subscriber = Subscriber { recipient, missed: 0 };
        if actor.subscribers.is_empty() {
            let newest = tracing::debug_span!("newest_event");
            let newest = actor.pool.clone().run(newest, |layer| layer.newest_event());
            return paused(newest, |newest, actor: &mut Self, _| {
                actor.seq = newest?;
                actor.subscribers.push(subscriber);
                Ok(())
            });
        }
        // What happened before is delivered first, to those who were there.
        let caught_up = actor.catch_up();
        AtomicResponse::new(Box::pin(caught_up.map(|(), actor, _| {
            actor.subscribers.push(subscriber);
            Ok(())
        })))
    };
    Poke -> (), |actor, _| {
        // Before the notices are taken, so that a later notice pokes again.
        actor.poked.store(false, Ordering::Release);
        let notices = actor.waiting_notices();
        let has_readers = !actor.subscribers.is_empty();
        let rest = if has_readers { actor.deliver_in_order(notices) } else { Vec::new() };
        if rest.is_empty() {
            return AtomicResponse::new(Box::pin(fut::ready(())));
        }
        AtomicResponse::new(Box::pin(actor.read_and_deliver(rest)))
    };
}

impl EventsActor {
    /// Delivers what follows on the last event without a gap; the rest is given back, for
    /// which the store has to be read: something before it came from elsewhere.
    fn deliver_in_order(&mut self, notices: Vec<Notice>) -> Vec<Notice> {
        let mut notices = notices.into_iter().peekable();
        while let Some(notice) = notices.next_if(|notice| notice.record.seq <= self.seq + 1) {
            if notice.record.seq == self.seq + 1 {
                self.send_to_all(&notice.record, notice.diff.as_ref());
            }
        }
        notices.collect()
    }

    /// Delivers everything that is in the store by now.
    fn catch_up(&mut self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let notices = self.waiting_notices();
        self.read_and_deliver(notices)
    }

    fn read_and_deliver(
        &mut self,
        notices: Vec<Notice>,
    ) -> impl ActorFuture<Self, Output = ()> + use<> {
        self.reading = true;
        let (pool, from) = (self.pool.clone(), self.seq);
        let read = pool.run(tracing::debug_span!("deliver_events"), move |layer| {
            let (mut all, mut seq) = (Vec::new(), from);
            loop {
                let batch = layer.events_since(seq, BATCH)?;
                let Some(last) = batch.last() else { break };
                seq = last.seq;
                all.extend(batch);
            }
            // What was read may have been committed a moment ago, and its diff is in a notice.
            layer.wait_for_observers();
            Ok(all)
        });
        fut::wrap_future::<_, Self>(read).map(|read, actor, context| {
            actor.reading = false;
            match read {
                Ok(records) => {
                    let mut notices = notices;
                    notices.extend(actor.waiting_notices());
                    let behind = actor.deliver(records, notices);
                    actor.later = actor.deliver_in_order(behind);
                    if !actor.later.is_empty() {
                        context.notify(Poke);
                    }
                }
                Err(error) => tracing::warn!(%error, "events wait in the store"),
            }
        })
    }
}
