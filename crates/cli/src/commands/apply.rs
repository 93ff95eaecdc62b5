//! `apply`: brings reviewed patches to the workspace.

use staging_core::{
    ApplyReport, ApplyRequest, ApprovalMeans, Patch, Selection, Selector, StagingError,
    check_diffs, set_signature,
};

use super::approval::{STAYS_PENDING, ask, asked, named, unasked, unconfirmed};
use super::context::{Context, remark_stale, tidy};
use super::text::{count, names, risks};
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
        ..ApplyRequest::default()
    };
    let trials = arguments.require_exec.then(|| Trials::read(&context.layer));
    if let Some(trials) = &trials {
        trials.require(&context.layer.select(&request.ids)?.signature)?;
    }
    let mut shown = None;
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
        shown = Some(patches.len());
    }
    if let Some(trials) = &trials {
        // What is applied is what the command has succeeded on.
        let signature = match request.expect {
            Some(signature) => signature,
            None => context.layer.select(&request.ids)?.signature,
        };
        trials.require(&signature)?;
        request.expect = Some(signature);
    }
    let report = context.layer.apply(&request)?;
    context.warn_unreported(print(context, &report, request.dry_run), "the change set is applied");
    tidy(context, &report.warnings, report.kept);
    if shown.is_some()
        && let Ok(left) = context.layer.select(&ids)
        && !left.patches.is_empty()
    {
        let left = count(
            left.patches.len(),
            "patch that was not shown is still",
            "patches that were not shown are still",
        );
        context.console.remark(&format!("{left} pending"));
    }
    Ok(())
}

/// Shows what would be applied and asks; what was shown.
fn confirm(context: &Context<'_>, request: &ApplyRequest) -> Result<Vec<Patch>, Failure> {
    let selection = context.layer.select(&request.ids)?;
    if !context.console.can_ask {
        return Err(unconfirmed("apply"));
    }
    let Selection { patches, signature, lapsed, .. } = selection.whole(request.rest)?;
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
    let question = format!("Apply {}?", count(patches.len(), "patch", "patches"));
    ask(context.console, &question, "not applied", STAYS_PENDING)?;
    Ok(patches)
}

fn print(context: &Context<'_>, report: &ApplyReport, dry_run: bool) -> Result<(), Failure> {
    if context.console.json {
        // Any other outcome is an error.
        let outcome = if dry_run { "dry_run" } else { "committed" };
        return context.console.object(AppliedView::new(report, outcome));
    }
    let patches = names(&report.patches);
    context.console.report(&match report.apply {
        Some(apply) => format!("applied {patches} as {apply}\n"),
        None => format!("would apply {patches}; nothing was changed\n"),
    })
}
