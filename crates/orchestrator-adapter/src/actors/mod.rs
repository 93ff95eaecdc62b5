//! The actors, their order of work, and their threads.
//!
//! [`Registry::launch`] starts them all. Everything that blocks runs off the
//! event loop: disk swaps on the FsActor's own thread, the rest on the blocking
//! pool, at most `proposals_in_flight_max` calls at once. A session's mailbox pauses while
//! one of its messages is worked on, so its agent is answered in the order it asked;
//! what several sessions propose meanwhile is staged as one batch.
//!
//! Mailboxes hold `mailbox_capacity` messages: use `send`, which waits for room,
//! or `try_send`, which does not. `do_send` ignores the limit.

use actix::prelude::*;

/// The answer of a handler that has it at once.
type Plain<T> = T;

/// Pauses an actor's mailbox until work is done, and answers with what `then` makes of it.
fn paused<A: Actor, T: 'static, R: 'static>(
    work: impl Future<Output = T> + 'static,
    then: impl FnOnce(T, &mut A, &mut A::Context) -> R + 'static,
) -> AtomicResponse<A, R> {
    AtomicResponse::new(Box::pin(fut::wrap_future::<_, A>(work).map(then)))
}

/// Declares handlers: for each message and its fields, the type of the answer and how the actor,
/// with its context, finds it.
macro_rules! handlers {
    ($actor:ident: $answer:ident; $(
        $message:ident $({ $($field:ident),+ })? -> $reply:ty,
            |$me:ident, $context:pat_param| $work:expr;
    )+) => {$(
        impl Handler<$message> for $actor {
            type Result = $answer<$reply>;

            fn handle(&mut self, message: $message, context: &mut Self::Context) -> Self::Result {
                let ($me, $context) = (self, context);
                let $message $({ $($field),+ })? = message;
                $work
            }
        }
    )+};
}

mod events;
mod fs;
mod maintenance;
mod pool;
mod registry;
mod session;

pub use registry::{OpenSession, OpenedSession, Registry};
pub use session::SessionActor;
