//! The arguments that select patches, the same in every command.

use std::ffi::OsString;

use clap::Args;
use staging_core::ApplyId;

/// What a command is about. Words behind `--` are paths, whatever else they look like.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SelectionArgs {
    #[command(flatten)]
    pub(crate) words: SelectionWords,
    /// The same, but only files, directories and globs
    #[arg(last = true, value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,
}

impl SelectionArgs {
    /// The apply, where nothing else is named.
    pub(crate) fn apply(&self) -> Option<ApplyId> {
        match (self.words.named.as_slice(), self.words.except.as_slice(), self.paths.as_slice()) {
            ([only], [], []) => only.to_str()?.parse().ok(),
            _ => None,
        }
    }
}

/// The same where what is behind `--` has another meaning.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SelectionWords {
    /// Patches (p1), sessions (s1, or a label), files, directories (src/) or globs ('*.toml')
    /// [default: everything]
    #[arg(value_name = "SELECTION")]
    pub(crate) named: Vec<OsString>,
    /// Leave out what this selects; can be repeated
    #[arg(long, value_name = "SELECTION")]
    pub(crate) except: Vec<OsString>,
}
