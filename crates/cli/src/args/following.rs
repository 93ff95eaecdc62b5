//! `watch` and `log`.

use std::convert::Infallible;
use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use staging_core::{ApplyId, PatchId};

use super::values::{entry, seconds};

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Watch {
    /// Start after this entry of the log, to continue where another watch ended [default: now]
    #[arg(long, value_name = "SEQ", value_parser = entry)]
    pub(crate) since: Option<u64>,
    /// Apply what the rules in your configuration approve (`policy.approve`), without asking
    #[arg(long)]
    pub(crate) apply_policy: bool,
    /// Ring the terminal's bell when something new waits, once for what comes together
    #[arg(long)]
    pub(crate) bell: bool,
    /// Run a command of your shell when something new waits, with the events as one JSON object on
    /// its standard input; one at a time
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<OsString>,
    /// Let that command have everything that comes within so many seconds of the first event
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    #[arg(requires = "exec")]
    pub(crate) after: Duration,
    /// Which events that command is run for
    #[arg(long, value_name = "EVENTS", default_value = "waiting", requires = "exec")]
    pub(crate) on: EventsOf,
}

/// The events that a command of `watch` is run for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventsOf {
    /// Those after which something new waits: proposed, changed, stale, or undone
    #[default]
    Waiting,
    /// All
    All,
}

/// What entries of the log are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogSelector {
    Patch(PatchId),
    Apply(ApplyId),
    /// A session's id or label.
    Session(String),
}

impl FromStr for LogSelector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let patch = || text.parse().map(Self::Patch).ok();
        let apply = || text.parse().map(Self::Apply).ok();
        Ok(patch().or_else(apply).unwrap_or_else(|| Self::Session(text.to_owned())))
    }
}
