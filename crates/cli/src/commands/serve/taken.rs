//! Calls that were taken, on their way from the client to their answers.

use super::calls::Call;
use super::protocol::Id;
use super::room::Ticket;

/// What comes from the client, and the end of it.
pub(super) enum Input {
    Call(Taken),
    End,
}

/// A call that was taken.
pub(super) struct Taken {
    pub(super) id: Id,
    pub(super) call: Call,
    pub(super) ticket: Ticket,
}
