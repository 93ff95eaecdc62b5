//! The hands of a session: they do what it was asked, in that order.
//!
//! The actor takes messages out of its mailbox and lines them up; here they are done, one after
//! the other. Proposals that stand in line next to each other are staged together, because a
//! transaction for several costs little more than one for a single proposal.

use std::future::Future;
use std::pin::Pin;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::SessionActor;
use super::error::{ActorError, ProposeError};
use super::pool::Pool;
use crate::ids::SessionId;
use crate::layer::{Proposal, Proposed, SessionProposals};

/// How many proposals are staged together, and how many bytes of content that may be: the first
/// of them waits for the last.
const TOGETHER_MAX: usize = 32;
const TOGETHER_BYTES_MAX: usize = 1 << 20;

/// Where messages line up. There is always room for one: the actor takes no message out of its
/// mailbox before there is.
#[derive(Clone)]
pub(super) struct Line(Sender<Task>);

/// Something to do in its turn.
pub(super) enum Task {
    /// A proposal, and who waits for what it comes to.
    Propose(Asked),
    /// Anything else.
    Other(Pin<Box<dyn Future<Output = ()>>>),
}

/// Where an answer goes, if anybody waits for it.
type Answer<T, E> = Option<OneshotSender<Result<T, E>>>;

/// A proposal, and who waits for what it comes to.
pub(super) struct Asked {
    pub(super) span: tracing::Span,
    pub(super) proposal: Proposal,
    pub(super) answer: Answer<Proposed, ProposeError>,
}

impl Line {
    /// Begins to serve a session.
    pub(super) fn begin(session: SessionId, pool: Pool, capacity: usize) -> Self {
        let (line, tasks) = mpsc::channel(capacity.clamp(1, TOGETHER_MAX));
        // It ends with the actor, after what is in line then.
        actix::spawn(serve(session, pool, tasks));
        Self(line)
    }

    /// Lines a task up, and keeps the mailbox waiting while there is no room for another one.
    fn push(&self, task: Task, context: &mut Context<SessionActor>) {
        if self.0.try_send(task).is_err() {
            // Whoever waits for it is told that its mailbox is closed.
            tracing::error!("a session's work has ended before its actor");
        }
        if self.0.capacity() == 0 {
            let line = self.0.clone();
            let room = async move { drop(line.reserve().await) };
            context.wait(fut::wrap_future(room));
        }
    }

    /// Does this in its turn; what it gives, once it is done.
    pub(super) fn in_turn<T: 'static, W: Future<Output = T> + 'static>(
        &self,
        context: &mut Context<SessionActor>,
        work: W,
    ) -> impl Future<Output = Result<T, ActorError>> + use<T, W> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let work = async move { drop(tell.send(work.await)) };
        self.push(Task::Other(Box::pin(work)), context);
        async { told.await.map_err(|_| ActorError::Stopped { actor: "SessionActor" }) }
    }
}

/// What a handler gives: an answer in its turn, while the mailbox is read on.
pub struct InTurn<T, E> {
    line: Line,
    task: Box<dyn FnOnce(Answer<T, E>) -> Task>,
}

impl<T: 'static, E: 'static> InTurn<T, E> {
    pub(super) fn new(line: &Line, task: impl FnOnce(Answer<T, E>) -> Task + 'static) -> Self {
        Self { line: line.clone(), task: Box::new(task) }
    }

    /// Of work that is begun in its turn, unless nobody waits for it any more.
    pub(super) fn of(line: &Line, work: impl Future<Output = Result<T, E>> + 'static) -> Self {
        Self::new(line, |answer| {
            Task::Other(Box::pin(async move {
                if !is_forgotten(&answer) {
                    tell(answer, work.await);
                }
            }))
        })
    }
}

impl<M, T: 'static, E: 'static> MessageResponse<SessionActor, M> for InTurn<T, E>
where
    M: Message<Result = Result<T, E>>,
{
    fn handle(self, context: &mut Context<SessionActor>, answer: Answer<T, E>) {
        self.line.push((self.task)(answer), context);
    }
}

/// Whether whoever asked has given up.
fn is_forgotten<T, E>(answer: &Answer<T, E>) -> bool {
    answer.as_ref().is_some_and(OneshotSender::is_closed)
}

fn tell<T, E>(answer: Answer<T, E>, outcome: Result<T, E>) {
    if answer.is_some_and(|answer| answer.send(outcome).is_err()) {
        tracing::debug!("nobody waits for the answer any more");
    }
}

async fn serve(session: SessionId, pool: Pool, mut tasks: Receiver<Task>) {
    let mut next = None;
    loop {
        let task = match next.take() {
            Some(task) => task,
            None => match tasks.recv().await {
                Some(task) => task,
                None => return,
            },
        };
        match task {
            Task::Other(work) => work.await,
            Task::Propose(first) => {
                let mut asked = vec![first];
                next = gather(&mut asked, &mut tasks);
                propose(session, &pool, asked).await;
            }
        }
    }
}

/// Takes the proposals at the head of the line; the task that comes after them, if it was taken
/// out as well.
fn gather(asked: &mut Vec<Asked>, tasks: &mut Receiver<Task>) -> Option<Task> {
    let mut bytes = asked.iter().map(|asked| asked.proposal.bytes()).sum::<usize>();
    while asked.len() < TOGETHER_MAX && bytes < TOGETHER_BYTES_MAX {
        match tasks.try_recv() {
            Ok(Task::Propose(another)) => {
                bytes += another.proposal.bytes();
                asked.push(another);
            }
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}

async fn propose(session: SessionId, pool: &Pool, asked: Vec<Asked>) {
    let (mut proposals, mut waiting) = (Vec::new(), Vec::new());
    for Asked { span, proposal, answer } in asked {
        if !is_forgotten(&answer) {
            proposals.push((span, proposal));
            waiting.push(answer);
        }
    }
    match pool.propose(SessionProposals { session, proposals }).await {
        Ok(proposed) => {
            for (answer, proposed) in waiting.into_iter().zip(proposed) {
                tell(answer, proposed.map_err(ProposeError::from));
            }
        }
        Err(lost) => {
            for answer in waiting {
                tell(answer, Err(ActorError::from(lost).into()));
            }
        }
    }
}
