//! `discard`: rejects patches.

use staging_core::{DiscardReason, Patch, Selector};

use super::approval::{STAYS_PENDING, ask, missing};
use super::context::Context;
use super::text::{count, line, lines};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{self, DiscardedView};
use crate::selection_args::SelectionArgs;

pub(super) fn discard(
    context: &Context<'_>,
    selection: &SelectionArgs,
    reason: Option<&str>,
    yes: bool,
) -> Result<(), Failure> {
    let ids = context.resolve(selection)?;
    let discarded = if Selector::are_everything(&ids) && !yes {
        let shown = confirm_all(context, &ids)?;
        if shown.is_empty() { Vec::new() } else { context.layer.discard(&shown, reason)? }
    } else {
        context.layer.discard(&ids, reason)?
    };
    context
        .warn_unreported(print_discarded(context.console, &discarded), "the patches are discarded");
    Ok(())
}

pub(super) fn print_discarded(console: &Console, discarded: &[Patch]) -> Result<(), Failure> {
    if console.json {
        return console.object(DiscardedView { patches: json::patches(discarded) });
    }
    if discarded.is_empty() {
        return console.report("nothing is pending\n");
    }
    let done = |patch: &Patch| match patch.reason {
        Some(DiscardReason::Rejected) | None => "discarded",
        Some(_) => "dismissed",
    };
    let lines: String =
        discarded.iter().map(|patch| format!("{} {}\n", done(patch), line(patch))).collect();
    console.report(&lines)
}

/// Everything pending but for exceptions, named one by one so that nothing unseen is discarded.
fn confirm_all(context: &Context<'_>, ids: &[Selector]) -> Result<Vec<Selector>, Failure> {
    if !context.console.can_ask {
        return Err(missing("discarding everything pending needs confirmation")
            .advise("Name what to discard, or pass --yes."));
    }
    let selection = context.layer.select(ids)?;
    let patches: Vec<Patch> = selection.patches.into_iter().chain(selection.lapsed).collect();
    if patches.is_empty() {
        return Ok(Vec::new());
    }
    context.console.text(&lines(&patches))?;
    let question = format!("Discard {}?", count(patches.len(), "patch", "patches"));
    ask(context.console, &question, "not discarded", STAYS_PENDING)?;
    Ok(patches.iter().map(|patch| Selector::Patch(patch.id)).collect())
}
