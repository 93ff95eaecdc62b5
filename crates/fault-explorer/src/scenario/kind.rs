//! Kinds of change, which the letters of a scenario's name stand for.

/// A kind of change, by the letter that stands for it in a scenario's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// New content.
    Modify,
    /// New content for a private file with owner, group and attributes of its own.
    ModifyOwned,
    /// A new file beside others.
    Create,
    /// A new file in directories that are still to be made.
    CreateDeep,
    /// A removal.
    Delete,
    /// A rename within a directory.
    Move,
    /// A rename to another directory.
    MoveAcross,
    /// A rename that changes content as well.
    MoveChanged,
    /// New permission bits.
    Mode,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Modify,
        Self::ModifyOwned,
        Self::Create,
        Self::CreateDeep,
        Self::Delete,
        Self::Move,
        Self::MoveAcross,
        Self::MoveChanged,
        Self::Mode,
    ];

    pub(super) fn letter(self) -> char {
        match self {
            Self::Modify => 'M',
            Self::ModifyOwned => 'O',
            Self::Create => 'C',
            Self::CreateDeep => 'N',
            Self::Delete => 'D',
            Self::Move => 'V',
            Self::MoveAcross => 'A',
            Self::MoveChanged => 'R',
            Self::Mode => 'X',
        }
    }

    pub(super) fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}
