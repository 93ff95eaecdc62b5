//! `status --short`, and `greenroom` alone.

use staging_core::{HOW_TO_REVIEW, Summary, summarise};

use super::context::Context;
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;

/// Answers `status --short` from the store alone, without opening the state; whether it could.
pub(super) fn answer(console: &Console, location: &Location) -> Result<bool, Failure> {
    let summary = match location.has_state() {
        true => summarise(&location.state_dir),
        false => Ok(Summary::default()),
    };
    match summary {
        Ok(summary) => print(console, &summary).map(|()| true),
        // Whoever opens the state brings it up to date, or says why that is not possible.
        Err(error) => {
            tracing::debug!(%error, "the state has to be opened");
            Ok(false)
        }
    }
}

/// The same for a state that had to be opened.
pub(super) fn short(context: &Context<'_>) -> Result<(), Failure> {
    print(context.console, &Summary::from(&context.layer.status()?))
}

fn print(console: &Console, summary: &Summary) -> Result<(), Failure> {
    if console.json {
        return console.object(summary);
    }
    if summary.is_empty() { Ok(()) } else { console.text(&format!("{summary}\n")) }
}

/// `greenroom` without a command.
pub(super) fn overview(context: &Context<'_>) -> Result<(), Failure> {
    print_overview(context.console, &Summary::from(&context.layer.status()?))?;
    if let Some(note) = context.location.note_of_work_above() {
        context.console.remark(&note);
    }
    Ok(())
}

/// What waits, and what to do next.
pub(super) fn print_overview(console: &Console, summary: &Summary) -> Result<(), Failure> {
    if console.json {
        return console.object(summary);
    }
    if summary.is_empty() {
        return console.text(
            "nothing is pending\n`greenroom init AGENT` sets up an agent, `greenroom --help` \
             lists the commands\n",
        );
    }
    let mut text = format!("{summary}\n");
    if summary.pending > 0 {
        text.push_str(&format!("{HOW_TO_REVIEW}\n"));
    }
    if summary.stale + summary.expired + summary.in_doubt > 0 {
        text.push_str(
            "`greenroom status` says what to do about what is stale, expired or in doubt\n",
        );
    }
    console.text(&text)
}
