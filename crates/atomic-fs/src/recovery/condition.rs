//! How far a unit has come.

use crate::conflict::Conflict;

/// Where a unit is between its first step and its last, told from the disk alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing is done and everything is ready.
    Waiting,
    /// A move whose file is in the slot.
    HalfMoved,
    /// The same, and its goal is taken.
    Blocked(Conflict),
    /// Done, and undoable.
    Done,
    /// A replacement that is done, and whose slot with the old content is gone.
    DoneAlone,
    /// Nothing is done and the slot is torn: only going back is possible.
    Unprepared,
    /// Nothing is done and the slot is gone; it can be written again.
    Bare,
    /// What was to be taken away is not at its path, not in the slot and not at the goal: the user
    /// took it away, or the set did and something removed the slot.
    Gone(Conflict),
    /// Something that the set has not put there has the slot's name.
    Foreign,
    /// The slot holds a user's version that an exchange or a move took out.
    Displaced,
    /// Nothing is done and the file is not what is expected.
    Conflict(Conflict),
    /// The user went on from here so that nothing is left to do, or to take back.
    Edited(Conflict),
}
