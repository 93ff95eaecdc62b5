//! `discard`: rejects patches.

use std::ffi::{OsStr, OsString};

use staging_core::{DiscardReason, NewComment, Patch, Selector};

use super::approval::{STAYS_PENDING, ask, missing};
use super::context::Context;
use super::text::{count, line, lines};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{self, DiscardedView};
use crate::paths::shown;
use crate::selection_args::SelectionArgs;

pub(super) fn discard(
    context: &Context<'_>,
    selection: &SelectionArgs,
    reason: Option<&str>,
    comments: &[OsString],
    yes: bool,
) -> Result<(), Failure> {
    let comments = comments
        .chunks_exact(2)
        .map(|pair| comment(context, &pair[0], &pair[1]))
        .collect::<Result<Vec<_>, _>>()?;
    let ids = context.resolve(selection)?;
    let discarded = if Selector::are_everything(&ids) && !yes {
        let shown = confirm_all(context, &ids)?;
        match shown.is_empty() {
            true => Vec::new(),
            false => context.layer.discard_commented(&shown, reason, &comments)?,
        }
    } else {
        context.layer.discard_commented(&ids, reason, &comments)?
    };
    context
        .warn_unreported(print_discarded(context.console, &discarded), "the patches are discarded");
    Ok(())
}

/// A comment as it is typed: `FILE:LINE`, and its text.
fn comment(context: &Context<'_>, place: &OsStr, text: &OsStr) -> Result<NewComment, Failure> {
    let mistake =
        || Failure::usage(format!("`{}` is not FILE:LINE, like src/main.rs:12", shown(place)));
    let (file, line) = place.to_str().and_then(|text| text.rsplit_once(':')).ok_or_else(mistake)?;
    let line = line.parse().map_err(|_| mistake())?;
    let comment = text.to_str().ok_or_else(|| Failure::usage("the comment is not UTF-8"))?;
    Ok(NewComment {
        path: context.location.file(file.as_ref())?,
        line,
        comment: comment.to_owned(),
    })
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
    Ok(patches.iter().map(Selector::seen).collect())
}
