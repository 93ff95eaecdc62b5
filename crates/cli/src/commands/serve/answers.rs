//! Takes calls, keeps the order of each session, and answers.

use std::rc::Rc;

use orchestrator_adapter::ActorError;
use tokio::task::spawn_local;

use super::calls::{Call, NAMES};
use super::output::Line;
use super::protocol::{LINE_BYTES_MAX, PROTOCOL, Refusal, answer};
use super::room;
use super::server::{Answer, Answered, Server};
use super::taken::Taken;
use super::views::HelloView;
use crate::failure::Failure;
use crate::paths::shown;

impl Server {
    /// Begins a call. Those of one session are answered in the order in which they came.
    pub(super) fn take(self: &Rc<Self>, taken: Taken) {
        let session = taken.call.session();
        let job = Rc::clone(self).perform(taken);
        match session.and_then(|session| self.lanes.borrow().queue(session)) {
            // The lane lives as long as the server.
            Some(queue) => drop(queue.send(Box::pin(job))),
            None => drop(spawn_local(job)),
        }
    }

    /// Ends every subscription, once what happened so far is sent.
    pub(super) fn end(&self) {
        self.subscriptions.borrow_mut().end();
    }

    async fn perform(self: Rc<Self>, Taken { id, call, ticket }: Taken) {
        let ticket = Some(ticket);
        if let Call::Subscribe(params) = call {
            return self.subscribe(id, params, ticket).await;
        }
        let (text, permit) = match catch_panic(Rc::clone(&self).answered(call)).await {
            Ok(Answer { body, permit }) => (answer(&id, &body), permit),
            Err(failure) => (Refusal::of(id, failure).to_line(), None),
        };
        self.output.send(Line { text, ticket, permit }).await;
    }

    async fn answered(self: Rc<Self>, call: Call) -> Answered {
        if let Some(session) = call.session() {
            // A session of another client is not this one's.
            self.actor(session)?;
        }
        match call {
            Call::Hello(_) => Ok(Answer::of(&self.hello())),
            Call::OpenSession(params) => self.open_session(params).await,
            Call::CloseSession(params) => self.close_session(params).await,
            Call::Sessions(_) => self.sessions().await,
            Call::Propose(params) => self.propose(params).await,
            Call::ProposePatch(params) => self.propose_patch(params).await,
            Call::Read(params) => self.read(params).await,
            Call::Status(_) => self.status().await,
            Call::Diff(params) => self.diff(params).await,
            Call::Show(params) => self.show(params).await,
            Call::Apply(params) => self.apply(params).await,
            Call::ApplyStatus(params) => self.apply_status(params).await,
            Call::Applies(params) => self.applies(params).await,
            Call::ShowApply(params) => self.show_apply(params).await,
            Call::Discard(params) => self.discard(params).await,
            Call::Refresh(params) => self.refresh(params).await,
            Call::Undo(params) => self.undo(params).await,
            Call::Redo(params) => self.redo(params).await,
            Call::Recover(_) => self.recover().await,
            Call::Events(params) => self.events(params).await,
            Call::Unsubscribe(params) => self.unsubscribe(&params),
            Call::Subscribe(_) => unreachable!("it is answered before its first event"),
        }
    }

    fn hello(&self) -> HelloView {
        HelloView {
            version: env!("CARGO_PKG_VERSION"),
            protocol: PROTOCOL,
            workspace: shown(&self.location.root),
            methods: NAMES,
            line_bytes_max: LINE_BYTES_MAX,
            calls_in_flight_max: room::CALLS_MAX,
            agent: crate::agent::in_environment(),
        }
    }
}

/// The outcome of work; a panic is a failure of it, so that the calls behind it go on and it is
/// answered as well.
pub(super) async fn catch_panic<T: 'static>(
    work: impl Future<Output = Result<T, Failure>> + 'static,
) -> Result<T, Failure> {
    spawn_local(work).await.unwrap_or_else(|_| Err(ActorError::Panicked.into()))
}

#[cfg(test)]
mod tests {
    use orchestrator_adapter::actix::System;
    use staging_core::ErrorKind;

    use super::*;

    #[test]
    fn work_that_panics_is_answered() {
        System::new().block_on(async {
            let outcome: Result<(), Failure> = catch_panic(async { panic!("on purpose") }).await;
            assert_eq!(outcome.expect_err("it panicked").kind, ErrorKind::Panicked);
            assert!(catch_panic(async { Ok(()) }).await.is_ok());
        });
    }
}
