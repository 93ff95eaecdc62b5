//! The shells whose command lines can be completed, and what each of them reads.

use clap::ValueEnum;

/// A shell whose command lines can be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    /// What the shell reads so that it asks for candidates.
    pub(crate) fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("completing/greenroom.bash"),
            Self::Zsh => include_str!("completing/greenroom.zsh"),
            Self::Fish => include_str!("completing/greenroom.fish"),
            Self::Elvish => include_str!("completing/greenroom.elv"),
            Self::Powershell => include_str!("completing/greenroom.ps1"),
        }
    }
}
