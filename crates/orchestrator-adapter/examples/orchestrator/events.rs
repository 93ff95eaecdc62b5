//! A subscriber: prints what happens, and lets the story wait for it.

use actix::prelude::*;
use orchestrator_adapter::{Event, EventDelivery, Staging};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::story::{PATIENCE, Story};

/// Subscribes; what is heard from now on.
pub(crate) async fn listen(staging: &Staging) -> Story<Heard> {
    let (sender, events) = mpsc::unbounded_channel();
    let printer = Printer { sender }.start();
    staging.subscribe(printer.recipient()).await?;
    Ok(Heard { events })
}

/// Prints every event.
struct Printer {
    sender: mpsc::UnboundedSender<Event>,
}

impl Actor for Printer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(1024);
    }
}

impl Handler<EventDelivery> for Printer {
    type Result = ();

    fn handle(&mut self, delivery: EventDelivery, _: &mut Self::Context) {
        let record = &delivery.record;
        if delivery.missed > 0 {
            println!("  ({} events were missed)", delivery.missed);
        }
        if let Some(line) = line(&record.event) {
            println!("  event {:>3}  {line}", record.seq);
        }
        // The story may be over.
        let _ = self.sender.send(record.event.clone());
    }
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::SessionOpened { session, label } => format!("session_opened {session} {label}"),
        Event::PatchProposed { patch, session, path, operation, diff, .. } => {
            let (added, removed) = (diff.added, diff.removed);
            format!("patch_proposed {session} {patch} {operation} {path} +{added} -{removed}")
        }
        Event::PatchStale { patch, path, .. } => format!("patch_stale {patch} {path}"),
        Event::ApplyStarted { apply, patches, .. } => {
            format!("apply_started {apply} with {} patches", patches.len())
        }
        Event::ApplyCommitted { apply } => format!("apply_committed {apply}"),
        Event::PatchDiscarded { patch, path, reason, .. } => {
            format!("patch_discarded {patch} {path} ({reason})")
        }
        // One line for each file would only repeat the diff.
        _ => return None,
    })
}

/// The events since the story began.
pub(crate) struct Heard {
    events: mpsc::UnboundedReceiver<Event>,
}

impl Heard {
    /// The next event of this kind.
    pub(crate) async fn until(&mut self, mut is_it: impl FnMut(&Event) -> bool) -> Story<Event> {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await?.ok_or("no more events")?;
            if is_it(&event) {
                return Ok(event);
            }
        }
    }

    /// Waits for this many proposals.
    pub(crate) async fn until_proposed(&mut self, mut count: usize) -> Story<()> {
        while count > 0 {
            self.until(|event| matches!(event, Event::PatchProposed { .. })).await?;
            count -= 1;
        }
        Ok(())
    }

    /// Waits until a file was found stale and is proposed anew.
    pub(crate) async fn until_proposed_again(&mut self, wanted: &str) -> Story<()> {
        let is_it = |event: &Event| {
            matches!(event, Event::PatchStale { path, .. }
            if path.to_string() == wanted)
        };
        self.until(is_it).await?;
        let is_it = |event: &Event| {
            matches!(event, Event::PatchProposed { path, .. }
            if path.to_string() == wanted)
        };
        self.until(is_it).await?;
        Ok(())
    }
}
