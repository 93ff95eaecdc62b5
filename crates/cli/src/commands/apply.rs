//! `apply`: brings reviewed patches to the workspace.

use staging_core::{
    ApplyReport, ApplyRequest, ApprovalMeans, Patch, Selection, Selector, StagingError,
    check_diffs, set_signature,
};

use super::approval::{STAYS_PENDING, ask, asked, named, unasked, unconfirmed};
use super::context::{Context, remark_stale, tidy};
use super::text::{count, names, risks, taken_back_by};
use crate::args::Apply;
use crate::failure::Failure;
use crate::json::AppliedView;
use crate::trials::Trials;

pub(super) fn apply(context: &Context<'_>, arguments: &Apply) -> Result<(), Failure> {
    let ids = context.resolve(&arguments.selection)?;
    let mut request = ApplyRequest {
        ids: ids.clone(),
        confirm_full_replace: arguments.confirm_full_replace,
        dry_run: arguments.dry_run,
        rest: arguments.rest,
        message: arguments.message.clone().filter(|message| !message.trim().is_empty()),
        ..ApplyRequest::default()
    };
    let trials = arguments.require_exec.then(|| Trials::read(&context.layer));
    if let Some(trials) = &trials {
        trials.require(&context.layer.select(&request.ids)?.signature)?;
    }
    let mut is_shown = false;
    if let Some(expected) = &arguments.expect {
        request.approval = unasked(&context.location, ApprovalMeans::Expect, "apply --expect")?;
        request.expect = Some(match expected.to_string().parse() {
            Ok(signature) => signature,
            Err(_) => named(expected, context.layer.select(&request.ids)?.signature)?,
        });
    } else if arguments.yes {
        request.approval = unasked(&context.location, ApprovalMeans::Yes, "apply --yes")?;
    } else if !request.dry_run {
        let patches = confirm(context, &request)?;
        request.approval = asked();
        request.expect = Some(set_signature(&patches));
        request.ids = patches.iter().map(|patch| Selector::Patch(patch.id)).collect();
        is_shown = true;
    }
    if let Some(trials) = &trials {
        // What is applied is what the command has succeeded on.
        let signature = match request.expect {
            Some(signature) => signature,
            None => {
                let selection = context.layer.select(&request.ids)?;
                if !request.dry_run {
                    let read = selection.check_read(&request.ids);
                    read.map_err(|error| with_rest(context, &request.ids, error))?;
                }
                selection.signature
            }
        };
        trials.require(&signature)?;
        request.expect = Some(signature);
    }
    let applied = context.layer.apply(&request);
    let report = applied.map_err(|error| with_rest(context, &request.ids, error))?;
    context.warn_unreported(print(context, &report, request.dry_run), "the change set is applied");
    tidy(context, &report.warnings, report.kept);
    context.remark_lapsed(&report.left_out);
    if is_shown && let Ok(left) = context.layer.select(&ids) {
        remark_arrived(context, &left.patches);
    }
    Ok(())
}

/// Shows what would be applied and asks; what was shown.
fn confirm(context: &Context<'_>, request: &ApplyRequest) -> Result<Vec<Patch>, Failure> {
    let selection = context.layer.select(&request.ids)?;
    if !context.console.can_ask {
        return Err(unconfirmed("apply"));
    }
    let whole = selection.whole(request.rest);
    let Selection { patches, signature, lapsed, .. } =
        whole.map_err(|error| with_rest(context, &request.ids, error))?;
    if patches.is_empty() {
        return Err(StagingError::NothingPending.into());
    }
    if !request.confirm_full_replace {
        check_diffs(&patches)?;
    }
    context.show_in_question(&patches)?;
    context.remark_patches(&patches);
    remark_stale(context.console, &lapsed);
    // The diff may be longer than the screen, so the risks are above the question.
    context.console.text(&risks(&patches))?;
    context.console.warn(&format!("signature {signature}"));
    let question = match lapsed.len() {
        0 => format!("Apply {}?", count(patches.len(), "patch", "patches")),
        out => format!("Apply {} and leave out {out}?", count(patches.len(), "patch", "patches")),
    };
    ask(context.console, &question, "not applied", STAYS_PENDING)?;
    Ok(patches)
}

/// The failure of an apply, which says so where the rest of the set can be applied.
fn with_rest(context: &Context<'_>, ids: &[Selector], error: StagingError) -> Failure {
    let is_stale = matches!(error, StagingError::Stale { .. });
    let is_unread = matches!(error, StagingError::Rewritten { .. });
    let mut failure = Failure::from(error);
    if is_unread {
        failure = failure.advise_also("Or give `--expect SIGNATURE`.");
    }
    let left = || context.layer.select(ids).is_ok_and(|left| !left.patches.is_empty());
    failure.lacks_parts |= is_stale && left();
    failure
}

/// What is pending of the selection after the apply has arrived since it was shown.
fn remark_arrived(context: &Context<'_>, arrived: &[Patch]) {
    let ids: Vec<_> = arrived.iter().map(|patch| patch.id).collect();
    let named = names(&ids);
    match ids.len() {
        0 => {}
        1 => context.console.remark(&format!("{named} has arrived meanwhile and stays pending")),
        _ => context.console.remark(&format!("{named} have arrived meanwhile and stay pending")),
    }
}

fn print(context: &Context<'_>, report: &ApplyReport, dry_run: bool) -> Result<(), Failure> {
    if context.console.json {
        // Any other outcome is an error.
        let outcome = if dry_run { "dry_run" } else { "committed" };
        return context.console.object(AppliedView::new(report, outcome));
    }
    let ApplyReport { apply, totals, .. } = report;
    context.console.report(&match apply {
        Some(_) => format!("applied {totals}{}\n", taken_back_by(*apply)),
        None => format!("would apply {totals}; nothing was changed\n"),
    })
}
